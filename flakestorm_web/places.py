"""Where this installation keeps its data, and the Redis that it brings along. Apart from the other
settings, for what is to be small (a standing gateway)."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parent.parent

# A Unix socket's path must fit into sockaddr_un (108 bytes on Linux, 104 on macOS).
SOCKET_PATH_LIMIT = 100


def data_folder(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("FLAKESTORM_DATA") or ROOT / "var").expanduser().resolve()


def redis_socket(data: Path) -> Path:
    """Where the bundled Redis listens: beside the data, or in a plain place if that cannot be.

    The Redis client reads its own address back in a list of words like `addr=…`, so that a path
    with a space or an equals sign breaks it.
    """
    path = data / "redis.sock"
    if len(bytes(path)) <= SOCKET_PATH_LIMIT and not re.search(r"[\s=]", str(path)):
        return path
    name = hashlib.sha256(bytes(path)).hexdigest()[:16]
    return Path(f"/tmp/flakestorm-{os.getuid()}-{name}/redis.sock")  # noqa: S108 - made private


def embedded_redis_url(data: Path) -> str:
    return f"unix://{quote(str(redis_socket(data)))}"
