"""A receipt in words: what came in with a recording, and what was lost."""

from __future__ import annotations

from collections.abc import Mapping

from replays_app.engine.values import Json

# Of the kinds of personal data whose plural is not made with an s.
_SEVERAL = {
    "address": "addresses",
    "network address": "network addresses",
    "postal address": "postal addresses",
    "date of birth": "dates of birth",
    "field": "named fields",
    "iban": "IBANs",
}
_ONE = {"field": "named field", "iban": "IBAN"}
KNOWN = (
    *("secret", "email", "iban", "account", "card", "national id", "phone", "network address"),
    *("date of birth", "postal address", "name", "field"),
)


def headline(receipt: Mapping[str, Json]) -> str:
    """`Full recording: 3 calls (1 nested)`; empty for a receipt that says nothing."""
    match receipt.get("completeness"):
        case "full":
            return f"Full recording: {_calls(receipt)}"
        case "input only":
            return "Input only: no call of a tool came along"
        case "partial":
            lost = losses(receipt) or ["the answers of some calls are missing"]
            return f"Partial: {', '.join(lost)}"
    return ""


def losses(receipt: Mapping[str, Json]) -> list[str]:
    """What a replay has to do without."""
    total = _number(receipt, "calls") + _number(receipt, "nested")
    lost = []
    if missing := _number(receipt, "missing_args"):
        have = "has" if missing == 1 else "have"
        which = f"{missing:,} of {total:,} calls {have}"
        if missing >= total:
            which = "its one call has" if total == 1 else f"all {total:,} calls have"
        lost.append(f"{which} no arguments")
    if cut := _number(receipt, "truncated"):
        lost.append(f"{_several(cut, 'text')} cut off")
    if unknown := unread(receipt):
        lost.append(f"{_several(len(unknown), 'shape')} that no rule reads")
    return lost


def facts(receipt: Mapping[str, Json]) -> list[str]:
    """What the headline leaves out."""
    found = []
    if receipt.get("completeness") == "partial":
        found.append(_calls(receipt))
    if missing := _number(receipt, "missing_latency"):
        found.append(f"{_several(missing, 'call')} without a time")
    return found


def unread(receipt: Mapping[str, Json]) -> list[str]:
    """Shapes that no rule reads, in words."""
    shapes = receipt.get("unknown")
    return [str(shape) for shape in shapes] if isinstance(shapes, list | tuple) else []


def redactions(counts: Json) -> str:
    """`2 emails and 1 card became pseudonyms`; empty: nothing did."""
    if not isinstance(counts, Mapping):
        return ""
    found = {str(k): n for k, n in counts.items() if isinstance(n, int) and n > 0}
    if not found:
        return ""
    # The most first: PostgreSQL does not keep the order of a mapping.
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    said = [_kind(kind, number) for kind, number in ordered]
    listed = said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}"
    return f"{listed} became {'a pseudonym' if sum(found.values()) == 1 else 'pseudonyms'}"


def _calls(receipt: Mapping[str, Json]) -> str:
    nested = _number(receipt, "nested")
    total = _number(receipt, "calls") + nested
    return _several(total, "call") + (f" ({nested:,} nested)" if nested else "")


def _kind(kind: str, number: int) -> str:
    """A project's own pattern may have any name, which is not bent."""
    if kind not in KNOWN:
        return f"{number:,} × {kind}"
    one = _ONE.get(kind, kind)
    return f"{number:,} {one if number == 1 else _SEVERAL.get(kind, f'{one}s')}"


def _several(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _number(receipt: Mapping[str, Json], name: str) -> int:
    value = receipt.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
