"""Certificates of a standing gateway, signed by a process of its own that then ends.

What signs (cryptography) takes 11 MB for as long as it is loaded, and a gateway needs it once for
each host, for a moment.
"""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
from pathlib import Path

from replays_app.engine.gateway.certificates import Certificates, Uncertified

_LONGEST_S = 20.0


class SignedApart:
    """By the authority that `folder` keeps."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known = Certificates()
        self._one_at_a_time = asyncio.Lock()

    async def context(self, host: str) -> ssl.SSLContext:
        """Raises Uncertified."""
        if known := self._known.get(host):
            return known
        async with self._one_at_a_time:
            known = self._known.get(host)  # those who waited together take one
            return known or self._known.put(await asyncio.to_thread(self._sign, host), host)

    def _sign(self, host: str) -> bytes:
        words = [sys.executable, "-m", "replays_app.engine.gateway.ca", str(self._folder), host]
        try:
            done = subprocess.run(words, capture_output=True, check=False, timeout=_LONGEST_S)  # noqa: S603
        except subprocess.TimeoutExpired as error:
            raise Uncertified(f"signing it took longer than {_LONGEST_S:.0f} s") from error
        except (OSError, ValueError) as error:
            raise Uncertified(f"no process could be started: {error}") from error
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip()
            raise Uncertified(said or f"signing it ended with {done.returncode}")
        return done.stdout
