"""OpenAI's chat completions, and the many APIs that speak them."""

from __future__ import annotations

import json
from collections.abc import Iterator

from replays_app.engine.gateway.llm.api import (
    Api,
    Recorded,
    StreamReader,
    ToolResult,
    event,
    old_ones,
)
from replays_app.engine.gateway.llm.said import (
    Said,
    Wanted,
    arguments,
    dicts,
    longer,
    number,
    obj,
    text_of,
)
from replays_app.engine.values import Json


class Chat(Api):
    name = "chat"

    def results(self, body: dict[str, Json]) -> list[ToolResult]:
        found: list[ToolResult] = []
        calls: dict[str, Wanted] = {}
        for message in dicts(body.get("messages")):
            role = message.get("role")
            if role == "assistant":
                old_ones(found)
                calls |= {call.id: call for call in _calls(message)}
            elif role in ("tool", "function"):  # the latter before tools were called tools
                called = text_of(message.get("tool_call_id"))
                found.append(ToolResult(called, calls.get(called), message, "content"))
        return found

    def read(self, answer: dict[str, Json]) -> Said:
        said = Said(model=text_of(answer.get("model")), complete=True)
        for choice in dicts(answer.get("choices")):
            message = obj(choice.get("message"))
            said.add_text(message.get("content"))
            for call in _calls(message):
                said.want(call)
        _count(said, answer)
        return said

    def reader(self) -> StreamReader:
        return _Reader()

    def write(self, said: Recorded) -> dict[str, Json]:
        message: dict[str, Json] = {"role": "assistant", "content": said.said.text, "refusal": None}
        if said.calls:
            message["tool_calls"] = _written(said)
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": _finish(said),
        }
        return {**_head(said, "chat.completion"), "choices": [choice], "usage": _usage(said)}

    def write_events(self, said: Recorded) -> list[bytes]:
        head = _head(said, "chat.completion.chunk")

        def chunk(delta: dict[str, Json], finish: str | None = None) -> bytes:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
            return event({**head, "choices": [choice]})

        events = [chunk({"role": "assistant", "content": "" if said.said.text else None})]
        if said.said.text:
            events.append(chunk({"content": said.said.text}))
        for index, call in enumerate(_written(said)):
            function = call["function"]
            begun = {**call, "function": {**function, "arguments": ""}}
            rest = {"function": {"arguments": function["arguments"]}}
            events += [chunk({"tool_calls": [{"index": index, **c}]}) for c in (begun, rest)]
        events.append(chunk({}, _finish(said)))
        if said.with_usage:
            events.append(event({**head, "choices": [], "usage": _usage(said)}))
        return [*events, b"data: [DONE]\n\n"]


def _head(said: Recorded, kind: str) -> dict[str, Json]:
    return {
        "id": f"chatcmpl-recorded-{said.number}",
        "object": kind,
        "created": 0,
        "model": said.model,
    }


def _written(said: Recorded) -> list[dict[str, Json]]:
    return [
        {
            "id": called,
            "type": "function",
            "function": {"name": tool, "arguments": json.dumps(args)},
        }
        for called, tool, args in said.calls
    ]


def _finish(said: Recorded) -> str:
    if said.said.finish == "length":
        return "length"
    return "tool_calls" if said.calls else "stop"


def _usage(said: Recorded) -> dict[str, Json]:
    into, out = said.tokens
    return {"prompt_tokens": into, "completion_tokens": out, "total_tokens": into + out}


class _Call:
    def __init__(self, id_: str, tool: str, custom: bool) -> None:
        self.id, self.tool, self.custom, self.args = id_, tool, custom, ""

    def wanted(self) -> Wanted:
        return Wanted(self.id, self.tool, _args(self.args, custom=self.custom))


class _Reader(StreamReader):
    def __init__(self) -> None:
        super().__init__()
        self._open: dict[tuple[int, int | str], _Call] = {}  # by choice and index

    def event(self, data: dict[str, Json]) -> None:
        self.said.model = text_of(data.get("model")) or self.said.model
        if "error" in data and not data.get("choices"):
            self.said.error = text_of(obj(data["error"]).get("message")) or "an error"
        for choice in dicts(data.get("choices")):
            delta, index = obj(choice.get("delta")), number(choice.get("index")) or 0
            self.said.add_text(delta.get("content"))
            for piece in dicts(delta.get("tool_calls")):
                self._piece(index, piece)
            if isinstance(old := delta.get("function_call"), dict):
                self._piece(index, {"index": -1, "function": old})
            if choice.get("finish_reason"):
                self._close(index)
                self.said.complete = True
        if "usage" in data:
            _count(self.said, data)

    def end(self) -> None:
        for index in {choice for choice, _ in self._open}:
            self._close(index)

    def _piece(self, choice: int, piece: dict[str, Json]) -> None:
        called = text_of(piece.get("id"))
        custom = isinstance(piece.get("custom"), dict)
        of = obj(piece.get("custom")) if custom else obj(piece.get("function"))
        index = number(piece.get("index"))
        key = (choice, called if index is None else index)
        call = self._open.get(key)
        if call is None or (called and called != call.id):
            if call is not None:
                self.said.wanted.append(call.wanted())
            call = self._open[key] = _Call(called, "", custom)
        if not call.tool and (name := text_of(of.get("name"))):
            call.tool = name
            self.said.begin(name)
        call.args = longer(call.args, of.get("input" if call.custom else "arguments"))

    def _close(self, choice: int) -> None:
        for key in [key for key in self._open if key[0] == choice]:
            self.said.wanted.append(self._open.pop(key).wanted())


def _calls(message: dict[str, Json]) -> Iterator[Wanted]:
    for call in dicts(message.get("tool_calls")):
        custom = isinstance(call.get("custom"), dict)
        of = obj(call.get("custom")) if custom else obj(call.get("function"))
        written = of.get("input") if custom else of.get("arguments")
        args = _args(written, custom=custom)
        yield Wanted(text_of(call.get("id")), text_of(of.get("name")), args)
    if isinstance(old := message.get("function_call"), dict):
        yield Wanted("", text_of(old.get("name")), _args(old.get("arguments"), custom=False))


def _args(written: Json, *, custom: bool) -> dict[str, Json]:
    """A custom tool is given plain text."""
    return {"input": text_of(written)} if custom else arguments(written)


def _count(said: Said, answer: dict[str, Json]) -> None:
    usage = obj(answer.get("usage"))
    said.count(usage.get("prompt_tokens"), usage.get("completion_tokens"))
