"""A real HTTP server that is a model's API, with a script: OpenAI's chat completions and responses,
and Anthropic's messages, streamed or not.

The script is played by what a question holds, so that many agents may ask at once: the first turn
has no tool result in it. What the model "understands" of its tools is what it says in the end.
"""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.fakes.http_server import HttpServer

Turn = dict[str, Any]  # text, calls: [(name, args)]
USAGE = (210, 17)  # tokens in and out, of every answer
# Two turns with tools: one called twice with other arguments, then two at once.
TURNS: list[Turn] = [
    {"calls": [("search", {"q": "one"})]},
    {"calls": [("search", {"q": "two"})]},
    {"text": "Both now.", "calls": [("quote", {"symbol": "ACME"}), ("news", {"topic": "ACME"})]},
]


@dataclass
class Hit:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.body)
        return value


@dataclass
class ModelApi(HttpServer):
    """`with ModelApi() as api`: `api.url`, `api.hits`. `odd` answers a question itself, by the
    handler's `raw` and `send`."""

    turns: list[Turn] = field(default_factory=lambda: TURNS)
    odd: Callable[[Any], None] | None = None
    hits: list[Hit] = field(default_factory=list)

    def handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(_Handler):
            server_api = api

        return Handler

    def turn(self, results: list[str]) -> Turn:
        """The next one, by how many results the question has."""
        have = 0
        for turn in self.turns:
            if len(results) == have:
                return turn
            have += len(turn.get("calls", ()))
        return {"text": " | ".join(results)}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_api: ModelApi

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", 0))
        hit = Hit(self.command, self.path, dict(self.headers.items()), self.rfile.read(length))
        self.server_api.hits.append(hit)
        if self.server_api.odd is not None:
            self.server_api.odd(self)
            return
        kind = self.path.partition("?")[0].rpartition("/")[2]
        if kind not in _KINDS or self.command != "POST":
            self.send(200, json.dumps({"path": self.path}).encode())
            return
        whole, stream, results = _KINDS[kind]
        body = hit.json
        turn = self.server_api.turn(results(body))
        number = len(results(body))
        if body.get("stream"):
            self.events(stream(whole(turn, number)))
        else:
            self.send(200, json.dumps(whole(turn, number)).encode())

    do_GET = do_POST

    def send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"content_type": "application/json", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def zipped(self, body: bytes) -> None:
        self.send(200, gzip.compress(body), content_encoding="gzip")

    def events(self, events: Iterable[bytes], *, end: bool = True) -> None:
        """Without its `end` the stream is cut off."""
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in events:
            # In two pieces, since networks cut where they like.
            for part in (event[: len(event) // 2], event[len(event) // 2 :]):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
        if end:
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: the hits are what counts."""


def ids(turn: Turn, number: int) -> list[tuple[str, str, dict[str, Any]]]:
    now = time.time_ns()
    return [(f"call_{now}_{number}_{i}", *call) for i, call in enumerate(turn.get("calls", ()))]


def chat(turn: Turn, number: int = 0) -> dict[str, Any]:
    calls = [
        {"id": i, "type": "function", "function": {"name": n, "arguments": json.dumps(a)}}
        for i, n, a in ids(turn, number)
    ]
    message = {"role": "assistant", "content": turn.get("text"), "refusal": None}
    if calls:
        message["tool_calls"] = calls  # type: ignore[assignment]
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": 1,
        "model": "scripted-1",
        "choices": [
            {
                "index": 0,
                "message": message,
                "logprobs": None,
                "finish_reason": "tool_calls" if calls else "stop",
            }
        ],
        "usage": {
            "prompt_tokens": USAGE[0],
            "completion_tokens": USAGE[1],
            "total_tokens": sum(USAGE),
        },
    }


def chat_events(answer: dict[str, Any]) -> Iterable[bytes]:
    choice = answer["choices"][0]
    base = {k: answer[k] for k in ("id", "created", "model")} | {"object": "chat.completion.chunk"}

    def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
        choices = [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}]
        return _data({**base, "choices": choices, **more})

    yield chunk({"role": "assistant", "content": ""})
    for piece in _pieces(choice["message"]["content"] or ""):
        yield chunk({"content": piece})
    for index, call in enumerate(choice["message"].get("tool_calls", ())):
        function = call["function"]
        opened = {**call, "index": index, "function": {"name": function["name"], "arguments": ""}}
        yield chunk({"tool_calls": [opened]})
        for piece in _pieces(function["arguments"]):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield chunk({}, choice["finish_reason"])
    yield _data({**base, "choices": [], "usage": answer["usage"]})
    yield b"data: [DONE]\n\n"


def responses(turn: Turn, number: int = 0) -> dict[str, Any]:
    output: list[dict[str, Any]] = []
    if "text" in turn:
        part = {"type": "output_text", "text": turn["text"], "annotations": [], "logprobs": []}
        output.append(
            {
                "id": f"msg_{number}",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [part],
            }
        )
    for called, name, args in ids(turn, number):
        output.append(
            {
                "id": f"fc_{called}",
                "type": "function_call",
                "call_id": called,
                "name": name,
                "arguments": json.dumps(args),
                "status": "completed",
            }
        )
    return {
        "id": f"resp_{number}",
        "object": "response",
        "created_at": 1,
        "model": "scripted-1",
        "status": "completed",
        "output": output,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "temperature": 1,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1,
        "usage": {
            "input_tokens": USAGE[0],
            "output_tokens": USAGE[1],
            "total_tokens": sum(USAGE),
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        },
    }


def responses_events(answer: dict[str, Any]) -> Iterable[bytes]:
    count = iter(range(10_000))

    def event(kind: str, **fields: Any) -> bytes:
        return _data({"type": kind, "sequence_number": next(count), **fields}, kind)

    opened = {**answer, "output": [], "status": "in_progress", "usage": None}
    yield event("response.created", response=opened)
    for index, item in enumerate(answer["output"]):
        where = {"item_id": item["id"], "output_index": index}
        if item["type"] == "message":
            opened = {**item, "content": [], "status": "in_progress"}
            yield event("response.output_item.added", output_index=index, item=opened)
            part = item["content"][0]
            at = {**where, "content_index": 0}
            yield event("response.content_part.added", **at, part={**part, "text": ""})
            for piece in _pieces(part["text"]):
                yield event("response.output_text.delta", **at, delta=piece, logprobs=[])
            yield event("response.output_text.done", **at, text=part["text"], logprobs=[])
            yield event("response.content_part.done", **at, part=part)
        else:
            opened = {**item, "arguments": "", "status": "in_progress"}
            yield event("response.output_item.added", output_index=index, item=opened)
            for piece in _pieces(item["arguments"]):
                yield event("response.function_call_arguments.delta", **where, delta=piece)
            yield event(
                "response.function_call_arguments.done",
                **where,
                arguments=item["arguments"],
                name=item["name"],
            )
        yield event("response.output_item.done", output_index=index, item=item)
    yield event("response.completed", response=answer)


def messages(turn: Turn, number: int = 0) -> dict[str, Any]:
    content: list[dict[str, Any]] = []
    if "text" in turn:
        content.append({"type": "text", "text": turn["text"]})
    calls = ids(turn, number)
    content += [{"type": "tool_use", "id": i, "name": n, "input": a} for i, n, a in calls]
    return {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": "scripted-1",
        "content": content,
        "stop_reason": "tool_use" if calls else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": USAGE[0], "output_tokens": USAGE[1]},
    }


def messages_events(answer: dict[str, Any]) -> Iterable[bytes]:
    def event(kind: str, **fields: Any) -> bytes:
        return _data({"type": kind, **fields}, kind)

    begun = {**answer["usage"], "output_tokens": 1}
    message = {**answer, "content": [], "stop_reason": None, "usage": begun}
    yield event("message_start", message=message)
    yield event("ping")
    for index, block in enumerate(answer["content"]):
        is_text = block["type"] == "text"
        opened = {**block, "text": ""} if is_text else {**block, "input": {}}
        yield event("content_block_start", index=index, content_block=opened)
        for piece in _pieces(block["text"] if is_text else json.dumps(block["input"])):
            delta = (
                {"type": "text_delta", "text": piece}
                if is_text
                else {"type": "input_json_delta", "partial_json": piece}
            )
            yield event("content_block_delta", index=index, delta=delta)
        yield event("content_block_stop", index=index)
    stop = {"stop_reason": answer["stop_reason"], "stop_sequence": None}
    yield event("message_delta", delta=stop, usage={"output_tokens": USAGE[1]})
    yield event("message_stop")


def chat_results(body: dict[str, Any]) -> list[str]:
    return [m["content"] for m in body["messages"] if m["role"] == "tool"]


def responses_results(body: dict[str, Any]) -> list[str]:
    items = body["input"] if isinstance(body["input"], list) else []
    return [i["output"] for i in items if i.get("type") == "function_call_output"]


def messages_results(body: dict[str, Any]) -> list[str]:
    blocks = [b for m in body["messages"] if isinstance(m["content"], list) for b in m["content"]]
    results = [b for b in blocks if b["type"] == "tool_result"]
    return [("failed: " if b.get("is_error") else "") + b["content"] for b in results]


_KINDS: dict[str, Any] = {
    "completions": (chat, chat_events, chat_results),
    "responses": (responses, responses_events, responses_results),
    "messages": (messages, messages_events, messages_results),
}


def _pieces(text: str) -> list[str]:
    return [text[i : i + 5] for i in range(0, len(text), 5)]


def _data(value: dict[str, Any], name: str = "") -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(value)}\n\n".encode()
