"""How much of what should go is found, how much is found that should stay, and what it costs.

    .venv/bin/python -m benchmarks.redaction

Three corpora: 200 values written from what issuers publish, before the patterns were tried on them
(planted.py), 200 generated, and 371 that were written to attack the patterns (planted_abroad.py).
Each value is planted into every field of a recording, as a field, as text, inside JSON and inside a
Python repr; and all at once through every way in, whose whole database is then searched. False
finds are counted on what only looks like some, and on the real traces of tests/data.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks import planted, planted_abroad, planted_generated
from benchmarks.lookalikes import lookalikes
from benchmarks.lookalikes_business import of_business
from benchmarks.planting import Planted
from replays_app.engine.redaction import Redactor, Rules

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "tests" / "data"
TRACES = sorted(DATA.glob("langsmith/**/*.json")) + sorted(DATA.glob("otel/*.json"))
TRUE = ("a@x.test", "noreply@x.test")  # in one of them
KEY = b"benchmark" * 4
CORPORA = {
    "written": planted.corpus,
    "generated": planted_generated.corpus,
    "abroad": planted_abroad.corpus,
}


def sessions(carrier: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """A recording for each field, with the carrier in it, and only there."""
    said = as_text(carrier)
    base = {"id": "s", "input": "hello", "contract": "c"}
    call: dict[str, Any] = {"tool": "crm", "args": {"id": 7}, "response": "ok"}
    yield "input", base | {"input": said}
    yield "input as messages", base | {"input": [{"role": "user", "content": said}]}
    yield "context", base | {"context": [{"role": "user", "content": carrier}]}
    yield "recorded answer", base | {"recorded_output": said}
    yield "expected failure", base | {"expected_failure": said}
    yield "name", base | {"name": said}
    forms = {
        "args": {"args": carrier if isinstance(carrier, dict) else {"text": said}},
        "response text": {"response": said},
        "response JSON": {"response": {"rows": [{"note": carrier}]}},
        "response JSON as text": {"response": json.dumps({"rows": [{"note": carrier}]})},
        "response repr": {"response": repr({"rows": [{"note": carrier}]})},
        "error": {"error": f"ToolError({said!r})"},
        "headers": {"headers": {"x-note": said}},
        "seen": {"seen": carrier},
    }
    for name, more in forms.items():
        yield name, base | {"tool_responses": [call | more]}
    yield "stub", base | {"replay": {"tools": {"crm": {"on_miss": "stub", "stub": carrier}}}}


def as_text(carrier: Any) -> str:
    return carrier if isinstance(carrier, str) else json.dumps(carrier, ensure_ascii=False)


def is_gone(value: str, stored: str) -> bool:
    """From a text of JSON, however often the value was quoted in it."""
    if len(value) < 6:  # which may be a part of any number
        return not re.search(rf"(?<![0-9A-Za-z]){re.escape(value)}(?![0-9A-Za-z])", stored)
    forms = {value}
    for _ in range(3):
        forms |= {json.dumps(form, ensure_ascii=a)[1:-1] for form in forms for a in (True, False)}
    return not any(form in stored for form in forms)


def measure(rows: Iterable[Planted]) -> dict[str, Any]:
    put, found = Counter[str](), Counter[str]()
    by_field: dict[str, Counter[str]] = defaultdict(Counter)
    missed: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        for where, body in sessions(row.carrier):
            put[row.kind] += 1
            by_field[where]["planted"] += 1
            out = Redactor(Rules(), KEY).session(body)
            if is_gone(row.value, json.dumps(out, ensure_ascii=False)):
                found[row.kind] += 1
                by_field[where]["found"] += 1
            else:
                missed[f"{row.kind}: {as_text(row.carrier)[:90]!r}"].append(where)
    return {"planted": put, "found": found, "by_field": by_field, "missed": missed}


def false_finds() -> tuple[int, int, Counter[str]]:
    """Of the values in the real traces, read as they come, keys and identifiers and all: how many
    were changed that hold nothing personal."""
    values, kinds = [0, 0], Counter[str]()
    for path in TRACES:
        redactor = Redactor(Rules(), KEY)
        data = json.loads(path.read_text())
        for before, after in _both(data, redactor.json(data)):
            values[0] += 1
            values[1] += before != after and not any(true in str(before) for true in TRUE)
        kinds += redactor.counts
    return values[0], values[1], kinds


def false_lookalikes() -> tuple[int, list[str]]:
    rows = [*lookalikes(), *of_business()]
    wrong = [str(row) for row in rows if Redactor(Rules(), KEY).json(row) != row]
    return len(rows), wrong


def _both(before: Any, after: Any) -> Iterator[tuple[Any, Any]]:
    """The values of two trees; the keys too."""
    if isinstance(before, dict) and isinstance(after, dict):
        for (key, old), (changed, new) in zip(before.items(), after.items(), strict=True):
            yield key, changed
            yield from _both(old, new)
    elif isinstance(before, list) and isinstance(after, list):
        for old, new in zip(before, after, strict=True):
            yield from _both(old, new)
    else:
        yield before, after


def ways() -> dict[str, tuple[int, int, list[str]]]:
    """By way in: planted, found, and what was missed. In a database of its own."""
    with tempfile.TemporaryDirectory() as folder:
        env = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL")}
        env |= {"FLAKESTORM_DATA": folder, "DJANGO_SETTINGS_MODULE": "tests.browser.settings"}
        env["FLAKESTORM_LOG_LEVEL"] = "ERROR"
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "benchmarks.redaction_ways"],
            cwd=ROOT,
            env=env,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    for name, corpus in CORPORA.items():
        _print_found(name, corpus())
    print("written corpus, all at once, by way in (the whole database is searched):")
    for way, (put, found, missed) in ways().items():
        more = f"; missed: {', '.join(missed)}" if missed else ""
        print(f"  {way:<20} {found / put:7.1%} of {put}{more}")
    total, wrong = false_lookalikes()
    print(f"lookalikes: {len(wrong)} of {total} changed wrongly ({len(wrong) / total:.1%})")
    for line in wrong:
        print(f"  {line[:100]}")
    values, false, kinds = false_finds()
    words = ", ".join(f"{n} {kind}" for kind, n in kinds.items()) or "none"
    print(
        f"real traces ({len(TRACES)} files): {false} of {values:,} values changed wrongly "
        f"({false / values:.2%}); found in all: {words}"
    )
    _print_speed()


def _print_found(name: str, rows: list[Planted]) -> None:
    result = measure(rows)
    put, found = result["planted"], result["found"]
    share = found.total() / put.total()
    print(f"{name} corpus: {len(rows)} values, {put.total():,} plantings: {share:.1%} found")
    for kind in sorted(put):
        print(f"  {kind:<20} {found[kind] / put[kind]:7.1%} of {put[kind]:,}")
    for where, row in result["by_field"].items():
        print(f"  in {where:<22} {row['found'] / row['planted']:7.1%}")
    for line, fields in result["missed"].items():
        print(f"  missed in {len(fields)} fields: {line}")


def _print_speed() -> None:
    data = [json.loads(path.read_text()) for path in TRACES]
    texts = [json.dumps(each) for each in data]
    size = sum(map(len, texts)) / 1e6
    Redactor(Rules(), KEY).json(data)
    began = time.perf_counter()
    for text in texts:
        json.loads(text)
    plain = time.perf_counter() - began
    began = time.perf_counter()
    for each in data:
        Redactor(Rules(), KEY).json(each)
    ours = time.perf_counter() - began
    print(f"speed: {size / ours:.1f} MB/s; reading it as JSON is {ours / plain:.0f} times as fast")


if __name__ == "__main__":
    main()
