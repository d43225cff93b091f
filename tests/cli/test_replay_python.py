"""`flakestorm replay run` with an agent that is a Python function: examples/python, as it is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.support import ROOT, flakestorm

EXAMPLE = ROOT / "examples" / "python"
ALWAYS_REFUNDED = """
async def answer(input: str) -> str:
    try:
        await refund("A-17", (await find_order("A-17"))["total"])
    except PaymentFailed:
        pass
    return "Order A-17 was refunded."
"""

pytestmark = pytest.mark.processes


def test_the_example_passes_and_none_of_its_tools_runs(tmp_path: Path) -> None:
    config = str(EXAMPLE / "flakestorm.yaml")
    done = flakestorm(tmp_path, "replay", "run", "-c", config, "-o", "report.json")
    assert done.code == 0, done.out + done.err
    assert "this would" not in done.out + done.err
    report = json.loads((tmp_path / "report.json").read_text())
    attempts = {s["id"]: s["attempts"][0] for s in report["sessions"]}
    assert attempts["refund-hung"]["virtual_ms"] == pytest.approx(10_000, abs=1_000)
    for attempt in attempts.values():
        assert [call["tool"] for call in attempt["calls"]] == ["find_order", "refund"]
        assert {call["door"] for call in attempt["calls"]} == {"hooks"}
    assert report["agent"]["reached"] == "shop_agent:answer"


def test_a_worse_agent_is_found_out(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True)
    with (tmp_path / "shop_agent.py").open("a") as file:
        file.write(ALWAYS_REFUNDED)
    done = flakestorm(tmp_path, "replay", "run", "refund-refused.yaml")
    assert done.code == 1, done.out + done.err
    assert "no-false-refund" in done.out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("endpoint: http://127.0.0.1:9/", "agent.endpoint"),
        ("endpoint: shop_agent", "write module:function"),
        ('start: "python x.py"', "is for an agent over HTTP"),
        ("headers: { A: b }", "is for an agent over HTTP"),
        ("reset_function: forget", "write module:function"),
        ("memory_mb: 1", "memory_mb"),
        ("gateway: proxy", "take gateway out"),
        ('tools: { x: { function: "no" } }', "write module:function"),
        ('tools: { x: { on_error: "a b" } }', "write module:Class"),
    ],
)
def test_what_does_not_fit_a_python_agent_is_said_before_it_starts(
    tmp_path: Path, line: str, said: str
) -> None:
    lines = [] if line.startswith("endpoint") else ["endpoint: shop_agent:answer"]
    block = "\n".join(f"  {each}" for each in ("type: python", *lines, line))
    contract = "contract:\n  name: c\n  invariants: [{id: a, type: completes}]\n"
    (tmp_path / "flakestorm.yaml").write_text(f'version: "2.0"\nagent:\n{block}\n{contract}')
    (tmp_path / "one.yaml").write_text("id: a\ninput: hello\ncontract: c\n")
    done = flakestorm(tmp_path, "replay", "run", "one.yaml")
    assert done.code == 2
    assert said in done.err


@pytest.mark.parametrize(
    "line", ["memory_mb: 100", "reset_function: a:b", 'tools: { x: { function: "a:b" } }']
)
def test_what_is_for_a_python_agent_is_refused_for_one_over_http(tmp_path: Path, line: str) -> None:
    contract = "contract:\n  name: c\n  invariants: [{id: a, type: completes}]\n"
    text = f'version: "2.0"\nagent:\n  endpoint: http://127.0.0.1:9/\n  {line}\n{contract}'
    (tmp_path / "flakestorm.yaml").write_text(text)
    (tmp_path / "one.yaml").write_text("id: a\ninput: hello\ncontract: c\n")
    done = flakestorm(tmp_path, "replay", "run", "one.yaml")
    assert done.code == 2
    assert "type python or langchain" in done.err
