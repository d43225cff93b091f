"""A contract's invariants as sentences. They are read from the stored value, so that a revision
of years ago can still be explained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from replays_app.templatetags.shown import duration, json_text

# (words, words when negated); {…} are fields of the invariant.
_SENTENCES = {
    "contains": ("the answer contains {value}", "the answer does not contain {value}"),
    "contains_any": ("the answer contains one of {values}", "the answer contains none of {values}"),
    "regex": ("the answer matches {pattern}", "nothing in the answer matches {pattern}"),
    "excludes_pattern": ("the answer has none of {patterns}", "the answer has one of {patterns}"),
    "valid_json": ("the answer is valid JSON{schema}", "the answer is not valid JSON{schema}"),
    "latency": ("the agent takes at most {max_ms}", "the agent takes more than {max_ms}"),
    "output_not_empty": ("the answer is not empty", "the answer is empty"),
    "completes": (
        "the agent answers without an error of its own",
        "the agent does not answer, or with an error of its own",
    ),
    "similarity": (
        "the answer is at least {threshold} similar to {expected}",
        "the answer is less than {threshold} similar to {expected}",
    ),
    "behavior_unchanged": (
        "the answer stays as it is without chaos",
        "the answer differs from the one without chaos",
    ),
    "excludes_pii": ("the answer has no personal data", "the answer has personal data"),
    "refusal_check": ("the agent refuses", "the agent does not refuse"),
    "tool_called": ("the agent calls {tool}{times}", "the agent does not call {tool}{times}"),
    "tool_not_called": ("the agent does not call {tool}", "the agent calls {tool}"),
    "max_tool_calls": (
        "the agent makes at most {max} calls{of_tool}",
        "the agent makes more than {max} calls{of_tool}",
    ),
    "tool_args": ("{which} call of {tool} has {args}", "not {which} call of {tool} has {args}"),
}

_WHEN = {
    "tool_faults_active": "when a tool failed",
    "llm_faults_active": "when the model failed",
    "any_chaos_active": "under chaos",
    "no_chaos": "without chaos",
}


def _quoted(value: Any) -> str:
    return f"“{json_text(value, indent=None)}”"


def _list(values: Any) -> str:
    return ", ".join(_quoted(v) for v in values or ())


_FIELDS: dict[str, Callable[[dict[str, Any]], str]] = {
    "value": lambda i: _quoted(i.get("value", "")),
    "values": lambda i: _list(i.get("values")),
    "pattern": lambda i: f"/{i.get('pattern', '')}/",
    "patterns": lambda i: _list(i.get("patterns")),
    "schema": lambda i: " that fits the schema" if i.get("schema") is not None else "",
    "max_ms": lambda i: duration(i.get("max_ms")),
    "threshold": lambda i: f"{i.get('threshold', 0.8):.0%}",
    "expected": lambda i: _quoted(i.get("expected", "")),
    "tool": lambda i: str(i.get("tool", "")),
    "times": lambda i: _times(i),
    "max": lambda i: str(i.get("max", "")),
    "of_tool": lambda i: f" of {i['tool']}" if i.get("tool") else "",
    "which": lambda i: "every" if i.get("every") else "some",
    "args": lambda i: json_text(i.get("args", {}), indent=None),
}


def _times(invariant: dict[str, Any]) -> str:
    if invariant.get("times") is not None:
        return f" exactly {invariant['times']} times"
    least, most = invariant.get("min"), invariant.get("max")
    parts = [f"at least {least}"] if least is not None else []
    parts += [f"at most {most}"] if most is not None else []
    return f" {' and '.join(parts)} times" if parts else ""


class _Fields(dict[str, str]):
    def __init__(self, invariant: dict[str, Any]) -> None:
        super().__init__()
        self.invariant = invariant

    def __missing__(self, key: str) -> str:
        return _FIELDS[key](self.invariant)


def invariant_words(invariant: dict[str, Any]) -> str:
    pair = _SENTENCES.get(str(invariant.get("type")))
    if pair is None:
        return str(invariant.get("type", "unknown check"))
    return pair[bool(invariant.get("negate"))].format_map(_Fields(invariant))


def when_words(invariant: dict[str, Any]) -> str:
    """Empty for `always`."""
    return _WHEN.get(str(invariant.get("when", "always")), "")


def fault_words(scenario: dict[str, Any]) -> list[str]:
    """The faults of a chaos scenario, a line each: `market_data: timeout, probability 0.5`."""
    lines = []
    for kind, subject in (("tool_faults", "tool"), ("llm_faults", ""), ("context_attacks", "type")):
        for fault in scenario.get(kind) or ():
            who = str(fault.get(subject, "")) if subject else "the model"
            who = "every tool" if who == "*" else who
            what = [str(fault["mode"])] if "mode" in fault else []
            what += [
                f"{name.replace('_', ' ')} {json_text(value, indent=None)}"
                for name, value in fault.items()
                if name not in (subject, "mode") and value is not None
            ]
            lines.append(f"{who}: {', '.join(what)}" if what else who)
    return lines
