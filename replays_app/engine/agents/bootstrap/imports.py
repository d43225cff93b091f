"""Acts on modules when they are imported: when their own code has run, before anyone has them.

Every process of an agent loads this when it starts, so it imports nothing that Python has not.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, Callable, Dict, List, Optional, Sequence, Set

    Act = Callable[[ModuleType], None]


class OnImport:
    """A finder in `sys.meta_path`."""

    def __init__(self) -> None:
        self._acts: Dict[str, List[Act]] = {}
        self._bound: Dict[str, Dict[str, List[Act]]] = {}
        self._finding: Set[str] = set()

    def add(self, module: str, act: Act) -> None:
        loaded = sys.modules.get(module)
        if loaded is not None:
            act(loaded)
        else:
            self._acts.setdefault(module, []).append(act)

    def when_bound(self, module: str, name: str, act: Act) -> None:
        """Acts on a module that is being run as soon as its code has bound this name, too: what
        follows there may use it already. Beside `add`: not every module's code can be read."""
        self._bound.setdefault(module, {}).setdefault(name, []).append(act)

    def install(self) -> None:
        sys.meta_path.insert(0, self)

    def find_spec(
        self,
        fullname: str,
        path: Optional[Sequence[str]] = None,
        target: Optional[ModuleType] = None,
    ) -> Any:
        if fullname not in self._acts or fullname in self._finding:
            return None
        self._finding.add(fullname)
        try:
            spec = self._found(fullname, path, target)
        finally:
            self._finding.discard(fullname)
        if spec is None or spec.loader is None:
            return None
        spec.loader = _Loader(spec.loader, self._acts[fullname], self._bound.get(fullname, {}))
        return spec

    def _found(self, *asked: Any) -> Any:
        for finder in list(sys.meta_path):
            find = getattr(finder, "find_spec", None)
            spec = find(*asked) if find is not None and finder is not self else None
            if spec is not None:
                return spec
        return None


class _Loader:
    def __init__(self, loader: Any, acts: List[Act], bound: Dict[str, List[Act]]) -> None:
        self._loader = loader
        self._acts = acts
        self._bound = bound

    def create_module(self, spec: Any) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if not (self._bound and self._executed(module)):
            self._loader.exec_module(module)
        for act in self._acts:
            act(module)

    def _executed(self, module: ModuleType) -> bool:
        from . import binding  # late: few processes have names to wait for

        def stop(name: str) -> None:
            for act in self._bound[name]:
                act(module)

        return binding.execute(self._loader, module, self._bound, stop)

    def __getattr__(self, name: str) -> Any:  # get_source, get_data, is_package: what tools ask
        return getattr(self._loader, name)
