"""The engine is plain Python: it must run where there is no Django, RQ or Redis."""

import ast
from pathlib import Path

import pytest

ENGINE = Path(__file__).resolve().parents[2] / "replays_app" / "engine"
FORBIDDEN = {"django", "django_rq", "rq", "redis"}
# What the engine may import from the product: itself.
OURS = {"replays_app", "flakestorm_web"}


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("path", sorted(ENGINE.rglob("*.py")), ids=lambda p: p.name)
def test_the_engine_imports_no_framework(path: Path) -> None:
    for name in imports_of(path):
        top = name.split(".")[0]
        assert top not in FORBIDDEN, f"{path.name} imports {name}"
        assert top not in OURS or name.startswith("replays_app.engine"), (
            f"{path.name} imports {name}"
        )
