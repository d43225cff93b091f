#!/bin/sh
# One image, several roles: the first word says which; the rest goes to its command.
set -eu

app=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
export PYTHONPATH="$app"
export DJANGO_SETTINGS_MODULE=flakestorm_web.settings

role=${1:-web}
[ $# -eq 0 ] || shift

# For the health check, which is started beside this and is told nothing.
printf '%s\n' "$role" >"${TMPDIR:-/tmp}/flakestorm-role" 2>/dev/null || true

manage() { exec python "$app/manage.py" "$@"; }

case $role in
web)
	exec python -m gunicorn flakestorm_web.wsgi \
		--config python:flakestorm_web.serving.gunicorn_conf \
		--bind "${FLAKESTORM_BIND:-0.0.0.0:8000}" \
		--workers "${FLAKESTORM_WEB_PROCESSES:-2}" --threads "${FLAKESTORM_WEB_THREADS:-4}" \
		--preload --graceful-timeout 20 --no-control-socket "$@"
	;;
worker) manage work "$@" ;;
sweep) manage sweep "$@" ;;
prepare) manage prepare --no-static "$@" ;;
manage) manage "$@" ;;
gateway) exec python -m replays_app.cli gateway --host 0.0.0.0 "$@" ;;
cli) exec python -m replays_app.cli "$@" ;;
*)
	printf '%s\n' "unknown role: $role" \
		'roles: web, worker [--queues interactive batch], sweep, gateway, prepare, manage COMMAND, cli COMMAND' >&2
	exit 64
	;;
esac
