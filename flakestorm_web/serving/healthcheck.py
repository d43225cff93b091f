"""A container's health: `python -m flakestorm_web.serving.healthcheck [ROLE]`, exit code 0 or 1.

Without a role it is the one that deploy/entrypoint.sh has noted. Imports no Django: this is started
every half minute.
"""

from __future__ import annotations

import http.client
import os
import socket
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

PATIENCE = 3.0  # seconds
GATEWAY_PORT = 8899  # inside the container; published as one likes
GONE_AFTER = 90  # seconds; replays_app.worker shows itself every 30
SWEEP_KEY = b"flakestorm:sweep"


def main() -> int:
    role = sys.argv[1] if len(sys.argv) > 1 else _noted_role()
    look = {"web": _web, "worker": _worker, "sweep": _sweep, "gateway": _gateway}.get(role)
    problem = look() if look else ""  # other roles end by themselves
    if problem:
        print(problem, file=sys.stderr)  # noqa: T201
    return 1 if problem else 0


def _noted_role() -> str:
    file = Path(tempfile.gettempdir()) / "flakestorm-role"
    return file.read_text().strip() if file.is_file() else "web"


def _web() -> str:
    return _page(int(os.environ.get("FLAKESTORM_BIND", ":8000").rpartition(":")[2]), "/healthz")


def _gateway() -> str:
    return _page(GATEWAY_PORT, "/health")


def _page(port: int, path: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"{path} does not answer ({type(error).__name__})"
    finally:
        connection.close()
    return "" if status == 200 else f"{path} answers {status}"


def _worker() -> str:
    """A worker of this machine is known to Redis and was seen lately."""
    from redis.exceptions import RedisError

    mine = socket.gethostname().encode()
    try:
        redis = _redis()
        for key in redis.smembers("rq:workers"):
            host, seen = redis.hmget(key, "hostname", "last_heartbeat")
            if host == mine and seen and _age(seen) < GONE_AFTER:
                return ""
    except (RedisError, OSError) as error:
        return f"Redis cannot be reached ({type(error).__name__})"
    return "no worker of this machine was seen lately"


def _sweep() -> str:
    from redis.exceptions import RedisError

    try:
        return "" if _redis().exists(SWEEP_KEY) else "the sweep has not looked within a minute"
    except (RedisError, OSError) as error:
        return f"Redis cannot be reached ({type(error).__name__})"


def _age(heartbeat: bytes) -> float:
    then = datetime.fromisoformat(heartbeat.decode().replace("Z", "+00:00"))
    return (datetime.now(UTC) - then).total_seconds()


def _redis():
    from redis import Redis

    return Redis.from_url(
        os.environ["REDIS_URL"], socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE
    )


if __name__ == "__main__":
    sys.exit(main())
