"""Hooks a plain function where it stands: its code is swapped, so that every reference to it, made
by `from … import`, a registry or a decorator, reaches the recording."""

from __future__ import annotations

import functools
import inspect
import types
from typing import Any, Callable, Dict, Mapping, Tuple

from . import run

# Not what the caller asks for: the object of a method, and what frameworks put in by these names.
_NOT_ASKED = frozenset({"self", "cls", "ctx", "context", "config", "runtime", "run_context"})


class Unhookable(Exception):
    """What was named is no function."""


def hook(found: Any, tool: str) -> None:
    """Raises Unhookable."""
    function = function_of(found)
    hooked_as = function.__dict__.get("_flakestorm_tool")
    if hooked_as == tool:
        return
    if hooked_as is not None:
        raise Unhookable(
            f"is the function of {hooked_as} already, and nothing tells their calls apart; name a "
            "function of its own for each, or one of both"
        )
    real = types.FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    real.__kwdefaults__ = function.__kwdefaults__
    signature = inspect.signature(function)
    instead = _instead(real, tool, signature)
    key = f"_flakestorm_{id(function):x}"
    function.__globals__[key] = instead
    function.__code__ = _trampoline(function, key)
    function.__defaults__ = function.__kwdefaults__ = None
    function.__dict__["__signature__"] = signature  # what frameworks read the schema from
    function.__dict__["_flakestorm_tool"] = tool


def function_of(found: Any) -> types.FunctionType:
    """The function below methods and decorators. Raises Unhookable."""
    inner = inspect.unwrap(getattr(found, "__func__", found))
    inner = getattr(inner, "__func__", inner)
    while isinstance(inner, functools.partial):
        inner = inner.func
    if not isinstance(inner, types.FunctionType):
        raise Unhookable(
            f"is {type(found).__name__}, not a Python function; a tool of a framework is "
            "recognised by its name, without function"
        )
    return inner


def _instead(real: Callable[..., Any], tool: str, signature: inspect.Signature) -> Any:
    def told(args: Tuple[Any, ...], kwargs: Dict[str, Any]) -> Tuple[Mapping[str, Any], ...]:
        bound = signature.bind(*args, **kwargs)
        passed = _asked_for(bound.arguments, signature)
        bound.apply_defaults()
        every = _asked_for(bound.arguments, signature)
        return passed, {k: v for k, v in every.items() if k not in passed}

    if inspect.iscoroutinefunction(real):

        async def later(args: Tuple[Any, ...], kwargs: Dict[str, Any]) -> Any:
            passed, defaults = told(args, kwargs)
            return await run.answer_later(tool, passed, lambda: real(*args, **kwargs), defaults)

        return later

    def now(args: Tuple[Any, ...], kwargs: Dict[str, Any]) -> Any:
        passed, defaults = told(args, kwargs)
        return run.answer(tool, passed, lambda: real(*args, **kwargs), defaults)

    if inspect.isasyncgenfunction(real):
        return lambda args, kwargs: _each_later(now(args, kwargs))
    if inspect.isgeneratorfunction(real):
        return lambda args, kwargs: _each(now(args, kwargs))
    return now


def _each(value: Any) -> Any:
    """A generator's recording is the list of what it yielded."""
    if isinstance(value, (types.GeneratorType, list)):  # the real one, or its items
        yield from value
    else:
        yield value


async def _each_later(value: Any) -> Any:
    if isinstance(value, types.AsyncGeneratorType):
        async for item in value:
            yield item
    else:
        for item in value if isinstance(value, list) else [value]:
            yield item


def _asked_for(arguments: Mapping[str, Any], signature: inspect.Signature) -> Dict[str, Any]:
    """By name; what `**kwargs` takes stands beside the others."""
    told: Dict[str, Any] = {}
    for name, value in arguments.items():
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            told.update(value)
        elif kind is inspect.Parameter.VAR_POSITIONAL:
            if value:
                told[name] = list(value)
        elif name not in _NOT_ASKED:
            told[name] = value
    return told


def _trampoline(function: types.FunctionType, key: str) -> types.CodeType:
    """Code that hands every argument on. It must have as many free variables as the original."""
    free = function.__code__.co_freevars
    is_async = inspect.iscoroutinefunction(function)
    prefix, wait = ("async ", "await ") if is_async else ("", "")
    lines = ["def outer():", *(f"    {name} = None" for name in free)]
    lines.append(f"    {prefix}def inner(*args, **kwargs):")
    lines += [f"        if 0: {name}" for name in free]
    lines.append(f"        return {wait}{key}(args, kwargs)")
    lines.append("    return inner")
    namespace: Dict[str, Any] = {}
    exec("\n".join(lines), namespace)  # noqa: S102 - names of variables of the function itself
    code: types.CodeType = namespace["outer"]().__code__
    changes: Dict[str, Any] = {"co_name": function.__name__}
    if hasattr(code, "co_qualname"):
        changes["co_qualname"] = function.__qualname__
    return code.replace(**changes, co_filename=function.__code__.co_filename)
