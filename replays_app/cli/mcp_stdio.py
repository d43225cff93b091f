"""`flakestorm mcp-stdio`: in place of an MCP server that an agent starts itself.

It carries the messages of its standard input to the MCP door of the replay's gateway, and the
answers back. The address is in `FLAKESTORM_MCP_URL`. Outside of a replay it answers every request
with an error, and reaches nothing. Standard library only, since every replay starts one.

MCP clients start their servers with nearly nothing of their own environment. Where the variable is
missing, it is looked for in that of the processes above this one (where the system shows it:
Linux), so that an agent's configuration need only name the command.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import sys
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import SplitResult, urlsplit

VARIABLE = "FLAKESTORM_MCP_URL"
NO_REPLAY = -32010  # as the gateway says it outside of any attempt
PARSE_ERROR, INVALID_REQUEST = -32700, -32600
_ANCESTORS = 16
_AT_ONCE = 64  # requests under way; a client that sends more waits
_ANSWER_S = 600.0
_LAST_ANSWERS_S = 5.0  # for what is under way when the input ends

# Of the protocol without a handshake: what a request says of itself goes into its head too.
_VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
_NAMED_BY = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
_PLAIN = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")


def main(
    words: list[str], *, source: BinaryIO | None = None, target: BinaryIO | None = None
) -> int:
    if words:
        sys.stderr.write(
            "usage: flakestorm mcp-stdio\n\n"
            "Serves a replay's recorded tools on standard input and output, to an agent that starts"
            f" its MCP servers.\nIt takes no arguments: the replay sets {VARIABLE}.\n"
        )
        return 0 if words in (["--help"], ["-h"]) else 2
    url = find_url(os.environ)
    bridge = Bridge(url, target or sys.stdout.buffer)
    if url is None:
        sys.stderr.write(f"flakestorm mcp-stdio: {bridge.refusal}\n")
    with suppress(BrokenPipeError, KeyboardInterrupt):
        bridge.serve(source or sys.stdin.buffer)
    return 0


def find_url(environ: Mapping[str, str], proc: Path = Path("/proc")) -> str | None:
    """Of the nearest process, this one first, that knows it."""
    if url := environ.get(VARIABLE):
        return url
    pid = os.getppid()
    for _ in range(_ANCESTORS):
        try:
            block = (proc / str(pid) / "environ").read_bytes()
            status = (proc / str(pid) / "stat").read_text("utf-8", "replace")
        except OSError:
            return None  # the end, another user's, or no such place on this system
        for entry in block.split(b"\0"):
            name, _, value = entry.partition(b"=")
            if name == VARIABLE.encode() and value:
                return value.decode("utf-8", "replace")
        # "pid (name) state ppid …", and the name may hold anything.
        pid = int(status.rpartition(")")[2].split()[1])
    return None


class Bridge:
    """`url` None: outside of any replay."""

    def __init__(self, url: str | None, target: BinaryIO) -> None:
        self.refusal = ""
        self._target = target
        self._lock = threading.Lock()
        self._room = threading.BoundedSemaphore(_AT_ONCE)
        self._version = ""  # as agreed in the handshake
        self._url = self._checked(url)

    def serve(self, source: Iterable[bytes]) -> None:
        """Until the input ends."""
        threads: list[threading.Thread] = []
        for line in source:
            if line.strip():
                threads = [thread for thread in threads if thread.is_alive()]
                threads += self._take(line)
        for thread in threads:
            thread.join(_LAST_ANSWERS_S)

    def _checked(self, url: str | None) -> SplitResult | None:
        if url is None:
            self.refusal = (
                f"{VARIABLE} is not set: this command answers within a replay only, which sets it; "
                "no real tool was called"
            )
            return None
        try:
            parts = urlsplit(url)
            if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
                return parts
        except ValueError:
            pass
        self.refusal = f"{VARIABLE} is no http or https address; no real tool was called"
        return None

    def _take(self, line: bytes) -> list[threading.Thread]:
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            self._fail(None, PARSE_ERROR, "the line is no JSON")
            return []
        if not isinstance(message, dict):
            self._fail(None, INVALID_REQUEST, "the line is no JSON-RPC message")
            return []
        if not isinstance(message.get("method"), str):
            return []  # an answer; nothing was asked
        if self._url is None:
            if "id" in message:
                self._fail(message["id"], NO_REPLAY, self.refusal)
            return []
        if message["method"] == "initialize":
            self._carry(self._url, message, line)  # what follows depends on what it agrees on
            return []
        self._room.acquire()
        args = (self._url, message, line)
        thread = threading.Thread(target=self._carry_in_turn, args=args, daemon=True)
        thread.start()
        return [thread]

    def _carry_in_turn(self, url: SplitResult, message: dict[str, Any], line: bytes) -> None:
        try:
            self._carry(url, message, line)
        finally:
            self._room.release()

    def _carry(self, url: SplitResult, message: dict[str, Any], line: bytes) -> None:
        try:
            status, body = _post(url, line, _head(message, self._version))
        except (OSError, http.client.HTTPException) as error:
            where = f"{url.hostname}:{url.port}"
            said = f"the replay's gateway at {where} did not answer ({error}); it may be over"
            status, body = 0, {"error": {"code": NO_REPLAY, "message": f"{said}; {_UNTOUCHED}"}}
        if "id" not in message:
            return
        answer = _answer(status, body)
        if message["method"] == "initialize":
            self._version = str((answer.get("result") or {}).get("protocolVersion") or "")
        self._write({**answer, "jsonrpc": "2.0", "id": message["id"]})

    def _fail(self, given: Any, code: int, message: str) -> None:
        error = {"code": code, "message": f"flakestorm: {message}"}
        self._write({"jsonrpc": "2.0", "id": given, "error": error})

    def _write(self, message: dict[str, Any]) -> None:
        line = json.dumps(message).encode("ascii") + b"\n"
        with self._lock, suppress(BrokenPipeError):
            self._target.write(line)
            self._target.flush()


_UNTOUCHED = "no real tool was called"


def _post(url: SplitResult, body: bytes, headers: Mapping[str, str]) -> tuple[int, Any]:
    """Once, on a connection of its own: a request that was sent twice would take two answers."""
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.hostname or "", url.port, timeout=_ANSWER_S)
    try:
        connection.request("POST", url.path or "/", body, dict(headers))
        response = connection.getresponse()
        text = response.read()
    finally:
        connection.close()
    try:
        return response.status, json.loads(text)
    except ValueError:
        return response.status, None


def _head(message: Mapping[str, Any], agreed: str) -> dict[str, str]:
    head = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    params = message.get("params")
    params = params if isinstance(params, dict) else {}
    meta = params.get("_meta")
    named = meta.get(_VERSION_KEY) if isinstance(meta, dict) else None
    if not isinstance(named, str):
        return {**head, "MCP-Protocol-Version": agreed} if agreed else head
    head |= {"MCP-Protocol-Version": _safe(named), "Mcp-Method": _safe(message["method"])}
    name = params.get(_NAMED_BY.get(message["method"], ""))
    return {**head, "Mcp-Name": _safe(name)} if isinstance(name, str) else head


def _safe(text: str) -> str:
    """As the protocol spells what no header can hold."""
    if _PLAIN.fullmatch(text) and not text.startswith("=?base64?"):
        return text
    return f"=?base64?{base64.b64encode(text.encode('utf-8', 'replace')).decode('ascii')}?="


def _answer(status: int, body: Any) -> dict[str, Any]:
    """The result or the error of a JSON-RPC response; an error where there is neither."""
    if isinstance(body, dict):
        if "result" in body:
            return {"result": body["result"]}
        if isinstance(body.get("error"), dict):
            return {"error": body["error"]}
        if isinstance(body.get("detail"), str):  # the gateway's own, beside the protocol
            said = f"flakestorm: {body['detail']}"
            return {"error": {"code": NO_REPLAY, "message": said}}
    said = f"flakestorm: the replay's gateway answered HTTP {status}; {_UNTOUCHED}"
    return {"error": {"code": NO_REPLAY, "message": said}}


if __name__ == "__main__":  # by its path, with any Python
    sys.exit(main(sys.argv[1:]))
