"""Real traces, in each shape in which LangSmith gives runs, and their truth.

Twelve come with what their tools recorded. Those under `recorded/` were made with the libraries
that they name, scripted models and plain tools, and hold only the root and its calls.
"""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

from replays_app.importers.langsmith.runs import read_trace
from replays_app.importers.trace import ToolCall, Trace

DATA = Path(__file__).parents[1] / "data" / "langsmith"
TRUTH: list[dict[str, Any]] = json.loads((DATA / "manifest.json").read_text())
NAMES = [each["name"] for each in TRUTH]
RECORDED: list[dict[str, Any]] = json.loads((DATA / "recorded" / "manifest.json").read_text())
SHAPES = ("stored", "v1", "v2")
PARTS = ("whole", "calls")  # the whole tree; or what a project's import asks for
Runs = list[dict[str, Any]]


@cache
def _file(name: str) -> str:
    folder = DATA if name in NAMES else DATA / "recorded"
    return (folder / f"{name}.json").read_text()


def runs_of(name: str, shape: str = "stored", part: str = "whole") -> Runs:
    """A fresh copy. `name` may be short: s01."""
    name = next((each for each in NAMES if each.startswith(name + "_")), name)
    data = json.loads(_file(name))
    runs = data["runs"]
    if part == "calls":
        kept = ("tool", "retriever", "llm")
        runs = [r for r in runs if r["parent_run_id"] is None or r["run_type"] in kept]
    return [_SHAPED[shape](run, data["feedback"]) for run in runs]


def trace_of(name: str, shape: str = "stored", part: str = "whole") -> Trace:
    return read_trace(runs_of(name, shape, part))


def one(runs: Runs, **fields: Any) -> dict[str, Any]:
    """The one run with these fields."""
    [found] = [r for r in runs if all(r.get(key) == value for key, value in fields.items())]
    return found


def seen(call: ToolCall) -> dict[str, Any]:
    """A call as the manifests hold it."""
    value: dict[str, Any] = {
        "name": call.name,
        "kind": call.kind,
        "args": call.args,
        "response": call.response,
        "status": call.status,
        "latency_ms": call.latency_ms and round(call.latency_ms, 1),
    }
    more = {"artifact": call.artifact, "error": call.error, "seen": call.seen}
    value |= {key: item for key, item in more.items() if item is not None}
    return value | ({"children": list(map(seen, call.children))} if call.children else {})


def _stored(run: dict[str, Any], feedback: list[Any]) -> dict[str, Any]:
    return run


def _parents(run: dict[str, Any]) -> list[str]:
    return [step.split("Z")[1] for step in run["dotted_order"].split(".")[:-1]]


def _status(run: dict[str, Any]) -> str:
    return "error" if run["error"] else "success" if run["end_time"] else "pending"


def _stats(run: dict[str, Any], feedback: list[Any]) -> dict[str, Any] | None:
    if run["parent_run_id"] is not None or not feedback:
        return None
    return {
        each["key"]: {
            "n": 1,
            "avg": None if each["score"] is None else float(each["score"]),
            "values": dict(Counter([each["value"]])) if each["value"] else {},
            "comments": [each["comment"]] if each["comment"] else [],
            "sources": [],
        }
        for each in feedback
    }


def _v1(run: dict[str, Any], feedback: list[Any]) -> dict[str, Any]:
    """Naive times, lower-case words."""
    return {
        **run,
        "start_time": run["start_time"].removesuffix("+00:00"),
        "end_time": run["end_time"] and run["end_time"].removesuffix("+00:00"),
        "status": _status(run),
        "parent_run_ids": _parents(run),
        "serialized": None,
        "feedback_stats": _stats(run, feedback),
        "app_path": f"/o/0/projects/p/{run['session_id']}/r/{run['id']}",
    }


def _v2(run: dict[str, Any], feedback: list[Any]) -> dict[str, Any]:
    """Times with a Z, upper-case words, a list of parents, previews beside the values."""
    absent = ("parent_run_id", "session_id", "extra")
    return {
        **{key: value for key, value in run.items() if key not in absent},
        "run_type": run["run_type"].upper(),
        "start_time": run["start_time"].replace("+00:00", "Z"),
        "end_time": run["end_time"] and run["end_time"].replace("+00:00", "Z"),
        "status": _status(run).upper(),
        "parent_run_ids": _parents(run),
        "project_id": run["session_id"],
        "extra": run["extra"],
        "metadata": run["extra"]["metadata"],
        "feedback_stats": _stats(run, feedback),
        "inputs_preview": json.dumps(run["inputs"])[:100],
        "outputs_preview": json.dumps(run["outputs"])[:100] if run["outputs"] else None,
        "error_preview": run["error"],
        "is_root": run["parent_run_id"] is None,
    }


_SHAPED = {"stored": _stored, "v1": _v1, "v2": _v2}
