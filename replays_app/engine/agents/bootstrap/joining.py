"""Hooks in the processes that a Python agent starts (multiprocessing, a program of its own).

A variable tells them what to hook and where to ask. They ask the same worker, on a connection of
their own, and only while the attempt that started them is on. Nothing heavy is loaded before a
module that matters is.
"""

from __future__ import annotations

import os

from .imports import OnImport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Optional

TOLD = "FLAKESTORM_HOOKS"
FRAMEWORKS = (  # those of frameworks.HOOKS
    "langchain_core.tools.base",
    "langchain_core.retrievers",
    "agents.tool",
    "pydantic_ai.toolsets.function",
    "pydantic_ai.toolsets.prefixed",
    "pydantic_ai.toolsets.renamed",
    "crewai.tools.base_tool",
    "crewai.tools.structured_tool",
)

_setup: Dict[str, Any] = {}


def tell(setup: Dict[str, Any], address: str, job: Optional[Dict[str, Any]] = None) -> None:
    """For the processes that are started from now on: by this attempt, or by none."""
    import json

    told = {key: setup[key] for key in ("functions", "on_error")}
    told.update(address=address, attempt="", tools=[])
    if job is not None:
        told.update(attempt=job["attempt"], tools=job["tools"])
    os.environ[TOLD] = json.dumps(told)


def begin(text: str) -> None:
    """In such a process. Whatever fails is raised where the module is imported: better no tool
    than one that runs."""
    import json

    _setup.update(json.loads(text))
    on_import = OnImport()
    on_import.install()
    for name in FRAMEWORKS:
        on_import.add(name, _framework(name))
    for tool, target in _setup["functions"].items():
        module, _, path = target.partition(":")
        on_import.add(module, _function(tool, target))
        on_import.when_bound(module, path.partition(".")[0], _function(tool, target, early=True))


def _framework(name: str) -> Callable[[Any], None]:
    def act(module: Any) -> None:
        _set_up()
        from . import frameworks

        frameworks.HOOKS[name](module)

    return act


def _function(tool: str, target: str, *, early: bool = False) -> Callable[[Any], None]:
    def act(module: Any) -> None:
        _set_up()
        from . import hooking

        if early:
            hooking.hooking_early(tool, target.partition(":")[2])(module)
        else:
            hooking.hooking(tool, target, [])(module)

    return act


def _set_up() -> None:
    from . import run

    if run.current is None:
        joins = (_setup["address"], _setup["attempt"])
        run.current = run.JoinedRun(_setup["tools"], joins)
        run.on_error.update(_setup["on_error"])
