"""The loop of an agent with local functions, in each API's own words and by plain HTTP.

`Agent(url, api, stream=…).ask()` gives what the model said in the end. `ran`: its functions that
really ran.
"""

from __future__ import annotations

import json
from typing import Any

import httpx

TIMEOUT_S = 15
PATHS = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages"}


class Agent:
    def __init__(self, url: str, api: str, *, stream: bool, **headers: str) -> None:
        self.ran: list[tuple[str, dict[str, Any]]] = []
        self.questions: list[dict[str, Any]] = []
        self._url, self._api, self._stream = url + PATHS[api], api, stream
        self._headers = headers

    def ask(self, question: str = "go") -> str:
        turns: list[dict[str, Any]] = [{"role": "user", "content": question}]
        with httpx.Client(timeout=TIMEOUT_S, headers=self._headers) as client:
            while True:
                said, calls, own = self._model(client, turns)
                turns += own
                if not calls:
                    return said
                turns += self._results(calls)

    def tool(self, name: str, args: dict[str, Any]) -> str:
        self.ran.append((name, args))
        return f"really {name}"

    def _model(self, client: httpx.Client, turns: list[dict[str, Any]]) -> Any:
        field = "input" if self._api == "responses" else "messages"
        question = {"model": "m", field: turns, "stream": self._stream, "max_tokens": 100}
        self.questions.append(question)
        answer = client.post(self._url, json=question)
        answer.raise_for_status()
        whole = READERS[self._api](answer.text) if self._stream else answer.json()
        return OWN[self._api](whole)

    def _results(self, calls: list[tuple[str, str, str]]) -> list[dict[str, Any]]:
        done = [(called, self.tool(name, json.loads(args))) for called, name, args in calls]
        if self._api == "chat":
            return [{"role": "tool", "tool_call_id": i, "content": text} for i, text in done]
        if self._api == "responses":
            kind = "function_call_output"
            return [{"type": kind, "call_id": i, "output": text} for i, text in done]
        blocks = [{"type": "tool_result", "tool_use_id": i, "content": text} for i, text in done]
        return [{"role": "user", "content": blocks}]


def data_of(text: str) -> list[dict[str, Any]]:
    lines = [line[6:] for line in text.splitlines() if line.startswith("data: {")]
    return [json.loads(line) for line in lines]


def _chat_whole(text: str) -> dict[str, Any]:
    content, calls = "", {}
    for chunk in data_of(text):
        for choice in chunk["choices"]:
            delta = choice["delta"]
            content += delta.get("content") or ""
            for piece in delta.get("tool_calls", ()):
                call = calls.setdefault(piece["index"], {**piece, "function": {"arguments": ""}})
                call["function"]["name"] = piece["function"].get(
                    "name", call["function"].get("name")
                )
                call["function"]["arguments"] += piece["function"]["arguments"]
    message = {"role": "assistant", "content": content, "tool_calls": list(calls.values())}
    return {"choices": [{"message": message}]}


def _responses_whole(text: str) -> dict[str, Any]:
    whole: dict[str, Any] = data_of(text)[-1]["response"]
    return whole


def _messages_whole(text: str) -> dict[str, Any]:
    blocks: list[dict[str, Any]] = []
    for event in data_of(text):
        if event["type"] == "content_block_start":
            blocks.append({**event["content_block"], "args": ""})
        elif event["type"] == "content_block_delta":
            delta, block = event["delta"], blocks[event["index"]]
            if delta["type"] == "text_delta":
                block["text"] += delta["text"]
            else:
                block["args"] += delta["partial_json"]
    for block in blocks:
        args = block.pop("args")
        if block["type"] == "tool_use":
            block["input"] = json.loads(args)
    return {"content": blocks}


def _chat_own(answer: dict[str, Any]) -> Any:
    message = answer["choices"][0]["message"]
    calls = [
        (c["id"], c["function"]["name"], c["function"]["arguments"])
        for c in message.get("tool_calls") or ()
    ]
    return message["content"] or "", calls, [message]


def _responses_own(answer: dict[str, Any]) -> Any:
    said = "".join(p["text"] for i in answer["output"] for p in i.get("content", ()))
    calls = [
        (i["call_id"], i["name"], i["arguments"])
        for i in answer["output"]
        if i["type"] == "function_call"
    ]
    return said, calls, answer["output"]


def _messages_own(answer: dict[str, Any]) -> Any:
    content = answer["content"]
    said = "".join(b["text"] for b in content if b["type"] == "text")
    calls = [
        (b["id"], b["name"], json.dumps(b["input"])) for b in content if b["type"] == "tool_use"
    ]
    return said, calls, [{"role": "assistant", "content": content}]


READERS = {"chat": _chat_whole, "responses": _responses_whole, "messages": _messages_whole}
OWN = {"chat": _chat_own, "responses": _responses_own, "messages": _messages_own}
