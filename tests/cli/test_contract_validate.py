from pathlib import Path

import pytest

from replays_app.cli.main import run
from tests.cli.support import CONTRACT, config

GOOD = CONTRACT
BAD_REGEX = r"""
name: Bad
invariants:
  - {id: dollars, type: regex, pattern: '\\$[\d,]+'}
"""
UNKNOWN_FIELD = """
name: Typo
invariants:
  - {id: short, type: contains, valeu: ok}
"""
UNCHECKED = """
name: Later
invariants:
  - {id: near, type: similarity, expected: hello}
  - {id: short, type: contains, value: ok}
"""


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        (GOOD, 0, "never-fabricate-when-tools-fail  regex, critical, negated, when tool_faults"),
        (BAD_REGEX, 2, "c.yaml:4: invariants[0].pattern: "),
        (BAD_REGEX, 2, "can never match"),
        (UNKNOWN_FIELD, 2, "did you mean value?"),
        (UNCHECKED, 0, "warning: near: similarity is not checked by this version"),
        ("name: Empty\ninvariants: []\n", 2, "invariants: is empty"),
        ("", 2, "c.yaml: is empty; a contract has name: and invariants:"),
        ("[", 2, "is not valid YAML"),
        ("- a\n- b\n", 2, "is a list, must be a mapping"),
    ],
)
def test_a_contract_is_shown_or_its_problems_are(
    content: str,
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(content)
    assert run(["contract", "validate", "c.yaml"]) == code
    seen = capsys.readouterr()
    assert said in seen.out + seen.err
    assert ("1 contract can be used" in seen.out) is (code == 0)


def test_a_missing_file_is_named_and_the_others_are_still_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = tmp_path / "good.yaml"
    good.write_text(GOOD)
    assert run(["contract", "validate", str(tmp_path / "none.yaml"), str(good)]) == 2
    seen = capsys.readouterr()
    assert seen.err.startswith(f"{tmp_path}/none.yaml: cannot be read: no such file")
    assert seen.out.endswith("1 contract can be used, 1 file cannot\n")


def test_the_contract_of_a_configuration_is_read_without_its_agents_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = config("fixed").replace("/invoke", "/${NOT_SET_ANYWHERE}")
    Path("flakestorm.yaml").write_text(text)
    assert run(["contract", "validate"]) == 0
    assert "Finance Agent Contract  flakestorm.yaml" in capsys.readouterr().out


def test_a_configuration_without_a_contract_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "f.yaml"
    path.write_text("agent: {endpoint: 'http://127.0.0.1:1/'}\n")
    assert run(["contract", "validate", "-c", str(path)]) == 2
    assert "contract: is missing" in capsys.readouterr().err
