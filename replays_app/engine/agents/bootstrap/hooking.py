"""Puts the hooks in place: those of the frameworks, and of the functions that are named."""

from __future__ import annotations

from typing import Any, Callable, Dict, List

from . import calling, frameworks, functions
from .imports import OnImport


def install(targets: Dict[str, str]) -> List[str]:
    """`targets`: tool to `module:qualname`. The list fills with those that were found."""
    hooked: List[str] = []
    on_import = OnImport()
    frameworks.add_to(on_import)
    on_import.install()
    for tool, target in targets.items():
        module, _, path = target.partition(":")
        on_import.add(module, hooking(tool, target, hooked))
        on_import.when_bound(module, path.partition(".")[0], hooking_early(tool, path))
    return hooked


def hooking(tool: str, target: str, hooked: List[str]) -> Callable[[Any], None]:
    _, _, path = target.partition(":")
    field = f"agent.tools.{tool}.function"

    def act(module: Any) -> None:
        found = module
        for part in path.split("."):
            if not hasattr(found, part):
                raise calling.Unfit(
                    "no_function", f"{field}: {module.__name__} has no {path}; check its name"
                )
            found = getattr(found, part)
        try:
            functions.hook(found, tool)
        except functions.Unhookable as error:
            raise calling.Unfit("no_function", f"{field}: {target} {error}") from error
        hooked.append(target)

    return act


def hooking_early(tool: str, path: str) -> Callable[[Any], None]:
    """While the module is still being run. What cannot be hooked yet is left to `hooking`."""

    def act(module: Any) -> None:
        found = module
        for part in path.split("."):
            if not hasattr(found, part):
                return
            found = getattr(found, part)
        try:
            functions.hook(found, tool)
        except functions.Unhookable:
            return

    return act
