"""Stubs: answers that a person gives for calls that a recording does not have."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from replays_app.engine.values import Json


def with_stub(body: Mapping[str, Json], tool: str, stub: Mapping[str, Json]) -> dict[str, Json]:
    """The replay-file value `body` with a stub of `tool`; in place of one for the same arguments.

    Raises ValueError where the value's `replay.tools` is no mapping.
    """
    value: dict[str, Any] = copy.deepcopy(dict(body))
    tools = value.setdefault("replay", {}).setdefault("tools", {})
    stubs = tools.setdefault(tool, {}).setdefault("stubs", [])
    stubs[:] = [known for known in stubs if known.get("args") != stub.get("args")]
    # One for any arguments stays behind those that name theirs: the first that fits answers.
    at = len(stubs)
    if stub.get("args") is not None:
        at = next((i for i, known in enumerate(stubs) if known.get("args") is None), at)
    stubs.insert(at, dict(stub))
    return value


def proposal(records: Sequence[Mapping[str, Any]], tool: str) -> tuple[int | None, Json]:
    """The index of the tool's last recorded answer that is no failure, and that answer; else
    (None, null). What a tool answered once has the shape of what it may answer here."""
    for index in range(len(records) - 1, -1, -1):
        record = records[index]
        failed = record.get("error") is not None or not 200 <= int(record.get("status", 200)) < 400
        if record.get("tool") == tool and not failed:
            return index, record.get("response")
    return None, None
