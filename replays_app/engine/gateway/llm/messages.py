"""Anthropic's messages."""

from __future__ import annotations

import json

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

# What was read from, or written to, the prompt's cache is no part of `input_tokens`.
_INPUT = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


class Messages(Api):
    name = "messages"

    def results(self, body: dict[str, Json]) -> list[ToolResult]:
        found: list[ToolResult] = []
        calls: dict[str, Wanted] = {}
        for message in dicts(body.get("messages")):
            if message.get("role") == "assistant":
                old_ones(found)
            for block in dicts(message.get("content")):
                if block.get("type") == "tool_use":
                    call = _call(block)
                    calls[call.id] = call
                elif block.get("type") == "tool_result":
                    called = text_of(block.get("tool_use_id"))
                    result = ToolResult(called, calls.get(called), block, "content", has_flag=True)
                    found.append(result)
        return found

    def read(self, answer: dict[str, Json]) -> Said:
        said = Said(model=text_of(answer.get("model")), complete=True)
        for block in dicts(answer.get("content")):
            if block.get("type") == "tool_use":
                said.want(_call(block))
            else:
                said.add_text(block.get("text"))
        _count(said, obj(answer.get("usage")))
        return said

    def reader(self) -> StreamReader:
        return _Reader()

    def write(self, said: Recorded) -> dict[str, Json]:
        into, out = said.tokens
        text = said.said.text
        content: list[dict[str, Json]] = [{"type": "text", "text": text}] if text else []
        content += [
            {"type": "tool_use", "id": called, "name": tool, "input": args}
            for called, tool, args in said.calls
        ]
        return {
            "id": f"msg_recorded_{said.number}",
            "type": "message",
            "role": "assistant",
            "model": said.model,
            "content": content,
            "stop_reason": _stop(said),
            "stop_sequence": None,
            "usage": {"input_tokens": into, "output_tokens": out},
        }

    def write_events(self, said: Recorded) -> list[bytes]:
        whole = self.write(said)
        begun = {**whole, "content": [], "stop_reason": None}
        begun["usage"] = {**whole["usage"], "output_tokens": 0}
        events: list[dict[str, Json]] = [{"type": "message_start", "message": begun}]
        for index, block in enumerate(whole["content"]):
            is_text = block["type"] == "text"
            start = {**block, "text": ""} if is_text else {**block, "input": {}}
            delta = {"type": "text_delta", "text": block.get("text")}
            if not is_text:
                delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
            events += [
                {"type": "content_block_start", "index": index, "content_block": start},
                {"type": "content_block_delta", "index": index, "delta": delta},
                {"type": "content_block_stop", "index": index},
            ]
        stop = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
        used = {"output_tokens": whole["usage"]["output_tokens"]}
        events += [
            {"type": "message_delta", "delta": stop, "usage": used},
            {"type": "message_stop"},
        ]
        return [event(data, data["type"]) for data in events]


def _stop(said: Recorded) -> str:
    if said.said.finish == "length":
        return "max_tokens"
    return "tool_use" if said.calls else "end_turn"


class _Reader(StreamReader):
    def __init__(self) -> None:
        super().__init__()
        self._open: dict[int | None, tuple[dict[str, Json], str]] = {}  # by index: block, arguments

    def event(self, data: dict[str, Json]) -> None:
        kind, index = data.get("type"), number(data.get("index"))
        if kind == "message_start":
            message = obj(data.get("message"))
            self.said.model = text_of(message.get("model"))
            _count(self.said, obj(message.get("usage")))
        elif kind == "content_block_start":
            block = obj(data.get("content_block"))
            self.said.add_text(block.get("text"))
            if block.get("type") == "tool_use":
                self._open[index] = (block, "")
                self.said.begin(text_of(block.get("name")))
        elif kind == "content_block_delta":
            delta = obj(data.get("delta"))
            self.said.add_text(delta.get("text"))
            if index in self._open:
                block, args = self._open[index]
                self._open[index] = (block, longer(args, delta.get("partial_json")))
        elif kind == "content_block_stop" and index in self._open:
            block, args = self._open.pop(index)
            whole = {**block, "input": args} if args else block
            self.said.wanted.append(_call(whole))
        elif kind == "message_delta":
            _count(self.said, obj(data.get("usage")))
        elif kind == "message_stop":
            self.said.complete = True
        elif kind == "error":
            self.said.error = text_of(obj(data.get("error")).get("message")) or "an error"


def _call(block: dict[str, Json]) -> Wanted:
    tool = text_of(block.get("name"))
    return Wanted(text_of(block.get("id")), tool, arguments(block.get("input")))


def _count(said: Said, usage: dict[str, Json]) -> None:
    into = [count for name in _INPUT if (count := number(usage.get(name))) is not None]
    said.count(sum(into) if into else None, usage.get("output_tokens"))
