"""The mark of a run: what is sent with the request to the agent, and comes back with its tool calls
where the agent hands it on.

An agent under OpenTelemetry hands on `traceparent` and `baggage` without a line of code. The trace
id is made from the run's token by a hash, so that whoever reads the agent's traces knows no token.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Literal
from urllib.parse import quote, unquote

from replays_app.engine.gateway.wire import Request

RunHeader = Literal["traceparent", "baggage", "x-flakestorm-run"]
_HEADERS: tuple[RunHeader, ...] = ("x-flakestorm-run", "baggage", "traceparent")
OWN_HEADER = "x-flakestorm-run"
_MEMBER = "flakestorm.run"  # of the baggage
_TRACE_ID = re.compile(r"[0-9a-fA-F]{32}", re.ASCII)
_LONGEST = 8_192  # characters of a header that is looked at; the W3C's limit for baggage


def run_key(token: str) -> str:
    """The run's name among the runs of a gateway: 32 hexadecimal digits, as a trace id has."""
    return hashlib.sha256(b"flakestorm run " + token.encode()).hexdigest()[:32]


def sent_marks(token: str, header: RunHeader | None) -> dict[str, str]:
    """Headers for the request to the agent. Our own is always sent; a trace is only begun where the
    agent's owner asked for it."""
    marks = {OWN_HEADER: token}
    if header == "traceparent":
        # Sampled, so that the team finds the replay in its traces if it keeps any.
        marks[header] = f"00-{run_key(token)}-{secrets.token_hex(8)}-01"
    elif header == "baggage":
        marks[header] = f"{_MEMBER}={quote(token)}"
    return marks


def key_in(request: Request, header: RunHeader) -> str | None:
    """The run that a request of the agent names; None: none."""
    text = request.header(header.encode())[:_LONGEST]
    if header == "traceparent":
        parts = text.strip().split("-")
        return parts[1].lower() if len(parts) >= 4 and _TRACE_ID.fullmatch(parts[1]) else None
    token = _in_baggage(text) if header == "baggage" else text.strip()
    return run_key(token) if token else None


def keys_in(request: Request) -> list[str]:
    """All that a request names, by whichever header."""
    keys = (key_in(request, header) for header in _HEADERS)
    return list(dict.fromkeys(key for key in keys if key is not None))


def _in_baggage(text: str) -> str:
    for member in text.split(","):
        name, _, value = member.partition(";")[0].partition("=")
        if name.strip() == _MEMBER:
            return unquote(value.strip())
    return ""
