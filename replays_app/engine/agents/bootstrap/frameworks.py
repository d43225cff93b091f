"""Hooks for tools of frameworks; each acts when its framework is imported, and only then."""

from __future__ import annotations

from typing import Dict

from .imports import Act, OnImport

HOOKS: Dict[str, Act] = {}


def add_to(on_import: OnImport) -> None:
    for module, act in HOOKS.items():
        on_import.add(module, act)
