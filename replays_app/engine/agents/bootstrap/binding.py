"""Stops a module's own code where it has just bound a name, so that a hook is in place before the
next line: that may call the tool already, outside of any attempt."""

from __future__ import annotations

import ast
from importlib.machinery import SourceFileLoader
from typing import Any, Callable, Collection, Iterator, List

STOP = "_flakestorm_bound"  # called with the name, in the module's own namespace


def execute(loader: Any, module: Any, names: Collection[str], stop: Callable[[str], None]) -> bool:
    """Whether it was done: only plain source can be read so."""
    if type(loader) is not SourceFileLoader:
        return False
    try:
        path = loader.get_filename(module.__name__)
        tree = ast.parse(loader.get_data(path), path)
        _put(tree.body, names)
        code = compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, OSError, RecursionError):
        return False  # Python says it better
    module.__dict__[STOP] = stop
    try:
        exec(code, module.__dict__)  # noqa: S102 - the module, as importing it would
    finally:
        module.__dict__.pop(STOP, None)
    return True


def _put(body: List[Any], names: Collection[str]) -> None:
    done: List[Any] = []
    for statement in body:
        done.append(statement)
        done += [_stop(name, statement) for name in _bound(statement) if name in names]
        if not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            for inner in (statement, *getattr(statement, "handlers", ())):
                for part in ("body", "orelse", "finalbody"):
                    _put(getattr(inner, part, None) or [], names)
    body[:] = done


def _bound(statement: Any) -> Iterator[str]:
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield statement.name
    elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        yield from (target.id for target in targets if isinstance(target, ast.Name))
    elif isinstance(statement, (ast.Import, ast.ImportFrom)):
        yield from (alias.asname or alias.name.partition(".")[0] for alias in statement.names)


def _stop(name: str, after: Any) -> Any:
    call = ast.Call(ast.Name(STOP, ast.Load()), [ast.Constant(name)], [])
    return ast.copy_location(ast.Expr(call), after)
