"""OpenAI's responses."""

from __future__ import annotations

from replays_app.engine.gateway.llm.api import Api, StreamReader, ToolResult, old_ones
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
        return Wanted(called, tool, {"input": item.get("input")})
    return None


def _count(said: Said, answer: dict[str, Json]) -> None:
    usage = obj(answer.get("usage"))
    said.count(usage.get("input_tokens"), usage.get("output_tokens"))
