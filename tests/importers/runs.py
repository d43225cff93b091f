"""Hand-made runs: a root, and what it holds, a second apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Run = dict[str, Any]


def made(*children: Run, **root: Any) -> list[Run]:
    """The runs of one trace. Each child begins at second 1, 2, 3 … of minute 0 and takes 500 ms."""
    top = {
        "id": "root",
        "trace_id": "root",
        "name": "agent",
        "run_type": "chain",
        "start_time": at(0),
        "end_time": at(59),
        "inputs": {"input": "hi"},
        "outputs": {"output": "bye"},
        "error": None,
        **root,
    }
    runs = [top]
    clock = iter(range(1, 59))
    for child in children:
        runs += _below("root", child, clock)
    return runs


def _below(parent: str, child: Run, clock: Iterator[int]) -> list[Run]:
    second = next(clock)
    run = {
        "id": f"run-{second}",
        "trace_id": "root",
        "parent_run_id": parent,
        "start_time": at(second),
        "end_time": at(second, 500),
        "error": None,
        **child,
    }
    found = [run]
    for each in run.pop("children", ()):
        found += _below(run["id"], each, clock)
    return found


def at(second: int, ms: int = 0) -> str:
    return f"2026-01-01T12:00:{second:02}.{ms:03}000+00:00"


def tool(name: str = "get_weather", *children: Run, **fields: Any) -> Run:
    run = {"name": name, "run_type": "tool", "inputs": {"city": "P"}, "outputs": {"output": "sun"}}
    return {**run, "children": children, **fields}


def llm(given: Any = (), said: Any = None, *children: Run, **fields: Any) -> Run:
    """`given`: the conversation; `said`: the message that the model puts out."""
    outputs = {"choices": [{"message": said}]} if said is not None else {}
    inputs = {"messages": list(given)}
    run = {"name": "model", "run_type": "llm", "inputs": inputs, "outputs": outputs}
    return {**run, "children": children, **fields}


def ask(name: str = "get_weather", args: Any = '{"city": "P"}', id: str | None = "c1") -> Run:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": args}}


def asks(*calls: Run) -> Run:
    return {"role": "assistant", "content": None, "tool_calls": list(calls)}


def says(text: str) -> Run:
    return {"role": "assistant", "content": text}


def user(content: Any) -> Run:
    return {"role": "user", "content": content}


def tells(content: Any, id: str = "c1", **fields: Any) -> Run:
    return {"role": "tool", "tool_call_id": id, "content": content, **fields}
