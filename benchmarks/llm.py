"""What the LLM door costs: a question to a model through it against a direct one.

    .venv/bin/python -m benchmarks.llm [questions]

The model's API (aiohttp, which answers at once), the gateway and the client are processes of their
own, and series are measured in turns. A question has a conversation of twenty turns, whose last
tool result is replaced; an answer has 200 words, as one body or as 200 events. A real model takes a
thousand times as long; exits 1 when the door adds more than 5 ms to an answer in one body or
recorded, or more than 0.1 ms to an event.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

BATCH = 50  # questions of one series in one turn
LIMIT_MS = 5.0
LIMIT_EVENT_MS = 0.1
WORDS = 200
CALL = {"id": "call_1", "type": "function", "function": {"name": "quote", "arguments": "{}"}}


def answer() -> dict[str, Any]:
    message = {"role": "assistant", "content": "word " * WORDS}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"id": "c", "object": "chat.completion", "model": "m", "choices": [choice]}


def asks() -> dict[str, Any]:
    """An answer that wants a tool, from which the door learns the call's id."""
    message = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    return {"id": "c", "object": "chat.completion", "model": "m", "choices": [choice]}


def events() -> list[bytes]:
    def event(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        chunk = {"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}
        return f"data: {json.dumps(chunk)}\n\n".encode()

    words = [event({"content": "word "}) for _ in range(WORDS)]
    return [*words, event({}, "stop"), b"data: [DONE]\n\n"]


def question(*, stream: bool) -> bytes:
    turns: list[dict[str, Any]] = []
    for n in range(9):
        turns.append({"role": "user", "content": f"question {n} " + "word " * 30})
        turns.append({"role": "assistant", "content": f"answer {n} " + "word " * 60})
    turns.append({"role": "assistant", "content": None, "tool_calls": [CALL]})
    turns.append({"role": "tool", "tool_call_id": "call_1", "content": "real"})
    return json.dumps({"model": "m", "stream": stream, "messages": turns}).encode()


async def serve_model() -> None:
    """Prints its URL; lives until its input ends."""
    from aiohttp import web

    whole, first, pieces = json.dumps(answer()), json.dumps(asks()), events()

    async def complete(request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        if not asked.get("stream"):
            text = whole if len(asked["messages"]) > 1 else first
            return web.Response(text=text, content_type="application/json")
        said = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await said.prepare(request)
        for piece in pieces:
            await said.write(piece)
        await said.write_eof()
        return said

    app = web.Application()
    app.router.add_post("/v1/chat/completions", complete)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(json.dumps({"url": f"http://127.0.0.1:{runner.addresses[0][1]}"}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


async def serve_gateway(upstream: str) -> None:
    """Prints its URL; for every line of its input it begins an attempt, recorded or live."""
    from replays_app.engine.formats.agent import AgentConfig
    from replays_app.engine.formats.llm import LlmConfig
    from replays_app.engine.formats.session import ModelResponse, Session, ToolResponse
    from replays_app.engine.gateway.server import Gateway
    from replays_app.engine.injecting import Injected

    said = tuple(ModelResponse(text="word " * WORDS) for _ in range(2 * BATCH))
    record = ToolResponse(tool="quote", args={}, response="recorded")
    session = Session(
        id="s", input="hi", contract="c", tool_responses=(record,), model_responses=said
    )
    async with Gateway() as gateway:
        listener = await gateway.listen()
        print(json.dumps({"url": listener.llm_url}), flush=True)
        made = None
        while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
            if made is not None:
                listener.unload()
                _, report = made.tape.finish()
                assert not report.misses, report.first_divergence
            llm = LlmConfig(upstream=upstream, answers="recorded" if line == "recorded" else "live")
            made = Injected.make(session, AgentConfig(gateway="llm", llm=llm))
            listener.load(made.deck)
            print("loaded", flush=True)


@contextmanager
def process(*words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.llm", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as started:
        assert started.stdin and started.stdout
        yield started, json.loads(started.stdout.readline())["url"]
        started.stdin.close()


class Series:
    """`kind`: direct, door or recorded."""

    def __init__(self, kind: str, url: str, *, stream: bool) -> None:
        self.kind, self.stream = kind, stream
        self._at = urlsplit(url)
        self._question = question(stream=stream)
        self.seconds: list[float] = []

    def run(self) -> None:
        with closing(http.client.HTTPConnection(str(self._at.hostname), self._at.port)) as to:
            if self.kind == "door":
                body = self._ask(to, b'{"model": "m", "messages": [{}]}')
                assert b"call_1" in body, body
            for _ in range(BATCH):
                began = time.perf_counter()
                body = self._ask(to, self._question)
                self.seconds.append(time.perf_counter() - began)
                assert body.count(b"word ") == WORDS, body

    def _ask(self, to: http.client.HTTPConnection, body: bytes) -> bytes:
        head = {"content-type": "application/json"}
        to.request("POST", f"{self._at.path}/v1/chat/completions", body, head)
        got = to.getresponse()
        read = got.read()
        assert got.status == 200, read
        return read

    @property
    def median_ms(self) -> float:
        return statistics.median(self.seconds) * 1000


def main(questions: int) -> int:
    with process("model") as (_, model), process("gateway", model) as (gateway, door):
        assert gateway.stdin and gateway.stdout
        kinds = [("direct", model), ("door", door), ("recorded", door)]
        series = [Series(*kind, stream=stream) for stream in (False, True) for kind in kinds]
        for turn in range(-1, max(1, questions // BATCH)):
            for one in series:
                if one.kind != "direct":
                    gateway.stdin.write(f"{one.kind}\n")
                    gateway.stdin.flush()
                    gateway.stdout.readline()
                one.run()
                if turn < 0:  # the first turn warms everything up
                    one.seconds.clear()
    too_slow = False
    print(f"median of {len(series[0].seconds)} questions, milliseconds (ratio to the direct one)\n")
    for stream in (False, True):
        print(f"{WORDS} events" if stream else "one body")
        direct = next(s for s in series if s.stream is stream and s.kind == "direct").median_ms
        for one in (s for s in series if s.stream is stream):
            added = one.median_ms - direct
            limit = LIMIT_EVENT_MS * WORDS if one.kind == "door" and stream else LIMIT_MS
            too_slow = too_slow or added > limit
            ratio = one.median_ms / direct
            print(f"  {one.kind:<10}{one.median_ms:8.3f}   {ratio:5.2f}x  {added:+8.3f} ms")
    print(f"\nlimits: {LIMIT_MS} ms an answer, {LIMIT_EVENT_MS} ms an event")
    return int(too_slow)


if __name__ == "__main__":
    words = sys.argv[1:] or ["500"]
    if words[0] == "model":
        asyncio.run(serve_model())
    elif words[0] == "gateway":
        asyncio.run(serve_gateway(words[1]))
    else:
        sys.exit(main(int(words[0])))
