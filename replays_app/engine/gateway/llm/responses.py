"""OpenAI's responses."""

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
from replays_app.engine.gateway.llm.said import Said, Wanted, arguments, dicts, obj, text_of
from replays_app.engine.values import Json

_OUTPUTS = ("function_call_output", "custom_tool_call_output")
_ENDS = ("response.completed", "response.incomplete", "response.failed")


class Responses(Api):
    name = "responses"

    def results(self, body: dict[str, Json]) -> list[ToolResult]:
        found: list[ToolResult] = []
        calls: dict[str, Wanted] = {}
        for item in dicts(body.get("input")):
            called = text_of(item.get("call_id"))
            if item.get("type") in _OUTPUTS:
                found.append(ToolResult(called, calls.get(called), item, "output"))
            elif (call := _call(item)) is not None:
                old_ones(found)
                calls[called] = call
            elif item.get("role") == "assistant":
                old_ones(found)
        return found

    def read(self, answer: dict[str, Json]) -> Said:
        said = Said(model=text_of(answer.get("model")), complete=True)
        for item in dicts(answer.get("output")):
            said.want(_call(item))
            for part in dicts(item.get("content")):
                said.add_text(part.get("text"))
        _count(said, answer)
        return said

    def reader(self) -> StreamReader:
        return _Reader()

    def write(self, said: Recorded) -> dict[str, Json]:
        cut = said.said.finish == "length"
        into, out = said.tokens
        return {
            "id": f"resp_recorded_{said.number}",
            "object": "response",
            "created_at": 0,
            "model": said.model,
            "status": "incomplete" if cut else "completed",
            "output": _written(said),
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "instructions": None,
            "metadata": {},
            "parallel_tool_calls": True,
            "temperature": 1.0,
            "tool_choice": "auto",
            "tools": [],
            "top_p": 1.0,
            "usage": {
                "input_tokens": into,
                "output_tokens": out,
                "total_tokens": into + out,
                "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                "output_tokens_details": {"reasoning_tokens": 0},
            },
        }

    def write_events(self, said: Recorded) -> list[bytes]:
        whole = self.write(said)
        begun = {**whole, "output": [], "status": "in_progress", "incomplete_details": None}
        begun["usage"] = None
        events = [
            ("response.created", {"response": begun}),
            ("response.in_progress", {"response": begun}),
        ]
        for index, item in enumerate(whole["output"]):
            events += _item_events(item, index)
        end = "response.incomplete" if said.said.finish == "length" else "response.completed"
        events.append((end, {"response": whole}))
        return [
            event({"type": kind, "sequence_number": n, **data}, kind)
            for n, (kind, data) in enumerate(events)
        ]


def _written(said: Recorded) -> list[dict[str, Json]]:
    cut = said.said.finish == "length"
    written: list[dict[str, Json]] = []
    if said.said.text is not None:
        part = {
            "type": "output_text",
            "text": said.said.text,
            "annotations": [],
            "logprobs": [],
        }
        message = {
            "id": f"msg_recorded_{said.number}",
            "type": "message",
            "role": "assistant",
            "status": "incomplete" if cut else "completed",
            "content": [part],
        }
        written.append(message)
    for called, tool, args in said.calls:
        call = {
            "id": f"fc_{called}",
            "type": "function_call",
            "call_id": called,
            "name": tool,
            "arguments": json.dumps(args),
            "status": "completed",
        }
        written.append(call)
    return written


def _item_events(item: dict[str, Json], index: int) -> list[tuple[str, dict[str, Json]]]:
    begun = {**item, "status": "in_progress"}
    at = {"item_id": item["id"], "output_index": index}
    if item["type"] == "message":
        (part,) = item["content"]
        begun["content"] = []
        at["content_index"] = 0
        middle = [
            ("response.content_part.added", {**at, "part": {**part, "text": ""}}),
            ("response.output_text.delta", {**at, "delta": part["text"], "logprobs": []}),
            ("response.output_text.done", {**at, "text": part["text"], "logprobs": []}),
            ("response.content_part.done", {**at, "part": part}),
        ]
    else:
        begun["arguments"] = ""
        written = {"arguments": item["arguments"], "name": item["name"]}
        middle = [
            ("response.function_call_arguments.delta", {**at, "delta": item["arguments"]}),
            ("response.function_call_arguments.done", {**at, **written}),
        ]
    return [
        ("response.output_item.added", {"output_index": index, "item": begun}),
        *middle,
        ("response.output_item.done", {"output_index": index, "item": item}),
    ]


class _Reader(StreamReader):
    def event(self, data: dict[str, Json]) -> None:
        kind, item = data.get("type"), obj(data.get("item"))
        if kind == "response.output_item.added":
            call = _call(item)
            if call is not None:
                self.said.begin(call.tool)
        elif kind == "response.output_item.done":
            self._done(_call(item))
        elif kind == "response.output_text.delta":
            self.said.add_text(data.get("delta"))
        elif kind in _ENDS:
            self._ended(obj(data.get("response")), failed=kind == "response.failed")
        elif kind == "error":
            said = data.get("message") or obj(data.get("error")).get("message")
            self.said.error = text_of(said) or "an error"

    def _done(self, call: Wanted | None) -> None:
        if call is not None:
            if len(self.said.begun) <= len(self.said.wanted):  # its beginning was not told
                self.said.begin(call.tool)
            self.said.wanted.append(call)

    def _ended(self, response: dict[str, Json], *, failed: bool) -> None:
        known = {call.id for call in self.said.wanted}
        for item in dicts(response.get("output")):
            call = _call(item)
            if call is not None and call.id not in known:
                self._done(call)
        self.said.model = text_of(response.get("model"))
        self.said.complete = True
        if failed:
            said = text_of(obj(response.get("error")).get("message"))
            self.said.error = said or "the response failed"
        _count(self.said, response)


def _call(item: dict[str, Json]) -> Wanted | None:
    called, tool = text_of(item.get("call_id")), text_of(item.get("name"))
    if item.get("type") == "function_call":
        return Wanted(called, tool, arguments(item.get("arguments")))
    if item.get("type") == "custom_tool_call":  # is given plain text
        return Wanted(called, tool, {"input": text_of(item.get("input"))})
    return None


def _count(said: Said, answer: dict[str, Json]) -> None:
    usage = obj(answer.get("usage"))
    said.count(usage.get("input_tokens"), usage.get("output_tokens"))
