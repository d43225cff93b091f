"""Hooks for tools of frameworks; each acts when its framework is imported, and only then.

A hook stands where the framework would run the tool's own code, so that validation, callbacks,
limits of use, error handling and the formatting of answers stay the framework's.
"""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import functools
import inspect
import json
import re
from contextvars import ContextVar
from typing import Any, Callable, Dict, Mapping, Optional

from . import limits, retrievers, run
from .imports import OnImport


def add_to(on_import: OnImport) -> None:
    for module, act in HOOKS.items():
        on_import.add(module, act)


# --- LangChain, LangGraph


def _langchain(module: Any) -> None:
    """`_run` and `_arun` are covered on a copy of the tool, for one call."""
    base = module.BaseTool
    real_run, real_arun = base.run, base.arun

    @functools.wraps(real_run)
    def run_tool(self: Any, tool_input: Any, *args: Any, **kwargs: Any) -> Any:
        return real_run(_covered(self, tool_input), tool_input, *args, **kwargs)

    @functools.wraps(real_arun)
    async def arun_tool(self: Any, tool_input: Any, *args: Any, **kwargs: Any) -> Any:
        return await real_arun(_covered(self, tool_input), tool_input, *args, **kwargs)

    base.run, base.arun = run_tool, arun_tool


def _covered(tool: Any, tool_input: Any) -> Any:
    asked = _asked_of(tool, tool_input)
    with_artifact = getattr(tool, "response_format", "content") == "content_and_artifact"

    def shaped(value: Any) -> Any:
        is_pair = isinstance(value, tuple) and len(value) == 2
        return (value, None) if with_artifact and not is_pair else value

    def _run(*args: Any, **kwargs: Any) -> Any:
        return shaped(run.answer(tool.name, asked, lambda: tool._run(*args, **kwargs)))

    async def _arun(*args: Any, **kwargs: Any) -> Any:
        real = functools.partial(tool._arun, *args, **kwargs)
        return shaped(await run.answer_later(tool.name, asked, real))

    covered = copy.copy(tool)
    covered.__dict__["_run"], covered.__dict__["_arun"] = _run, _arun
    return covered


def _asked_of(tool: Any, tool_input: Any) -> Mapping[str, Any]:
    """Without what the framework puts in (state, runtime, the call's id)."""
    if not isinstance(tool_input, dict):
        fields = list(getattr(getattr(tool, "args_schema", None), "model_fields", ()))
        return {fields[0] if len(fields) == 1 else "input": tool_input}
    leave_out = getattr(tool, "_filter_injected_args", None)
    return leave_out(tool_input) if leave_out is not None else tool_input


# --- openai-agents


def _openai_agents(module: Any) -> None:
    tool_class = module.FunctionTool
    real = tool_class.__post_init__

    @functools.wraps(real)
    def post_init(self: Any) -> None:
        invoker = self.on_invoke_tool
        # The SDK's own failure handling stays around the hook.
        inner = getattr(invoker, "_invoke_tool_impl", None)
        if inner is not None:
            if not getattr(inner, "_flakestorm", False):
                invoker._invoke_tool_impl = _invoking(inner, lambda context: context.tool_name)
        elif not getattr(invoker, "_flakestorm", False):
            name = self.name
            self.on_invoke_tool = _invoking(invoker, lambda context: name)
        real(self)

    tool_class.__post_init__ = post_init


def _invoking(real: Callable[..., Any], name_of: Callable[[Any], str]) -> Callable[..., Any]:
    @functools.wraps(real)
    async def invoke(context: Any, text: str) -> Any:
        return await run.answer_later(name_of(context), _parsed(text), lambda: real(context, text))

    invoke.__dict__["_flakestorm"] = True
    return invoke


def _parsed(text: Any) -> Mapping[str, Any]:
    try:
        value = json.loads(text) if isinstance(text, str) and text else text or {}
    except ValueError:
        value = text
    return value if isinstance(value, dict) else {"input": value}


# --- pydantic-ai


def _pydantic_ai(module: Any) -> None:
    toolset = module.FunctionToolset
    real = toolset.call_tool

    @functools.wraps(real)
    async def call_tool(self: Any, name: str, tool_args: Any, ctx: Any, tool: Any) -> Any:
        timeout = _timeout_of(self, tool)
        asked_as = run.name_of(_model_says.get() or name, name)
        _model_says.set("")  # of this call's context; a tool may run an agent of its own

        async def call_func(args: Any, context: Any) -> Any:
            async def answer() -> Any:
                return await run.answer_later(asked_as, args, lambda: tool.call_func(args, context))

            return await (answer() if timeout is None else _within(timeout, answer))

        return await real(
            self, name, tool_args, ctx, dataclasses.replace(tool, call_func=call_func)
        )

    toolset.call_tool = call_tool


# The name by which the model asked, where toolsets around the tool's own gave it another.
_model_says: ContextVar[str] = ContextVar("flakestorm_model_says", default="")


def _pydantic_ai_names(kind_name: str) -> Callable[[Any], None]:
    def act(module: Any) -> None:
        kind = getattr(module, kind_name)
        real = kind.call_tool

        @functools.wraps(real)
        async def call_tool(self: Any, name: str, *rest: Any, **more: Any) -> Any:
            token = _model_says.set(_model_says.get() or name)
            try:
                return await real(self, name, *rest, **more)
            finally:
                _model_says.reset(token)

        kind.call_tool = call_tool

    return act


def _timeout_of(toolset: Any, tool: Any) -> Optional[float]:
    own = getattr(getattr(tool, "tool_def", None), "timeout", None)
    return own if own is not None else getattr(toolset, "timeout", None)


async def _within(limit_s: float, answer: Callable[[], Any]) -> Any:
    """A limit that the framework holds by means of its own."""
    limit, token = limits.enter(limit_s)
    try:
        return await answer()
    except asyncio.CancelledError:
        if limit.expired:
            raise TimeoutError from None
        raise
    finally:
        limits.leave(token)


# --- CrewAI


def _crewai(module: Any) -> None:
    for tool_class in (module.BaseTool, module.Tool):
        for name in ("run", "arun"):
            if name in tool_class.__dict__:
                setattr(tool_class, name, _crewai_run(tool_class.__dict__[name]))


def _crewai_run(real: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(real):

        @functools.wraps(real)
        async def arun(self: Any, *args: Any, **kwargs: Any) -> Any:
            covered = _crewai_covered(self, ("_arun",))
            try:
                return await real(covered, *args, **kwargs)
            finally:
                _count_uses(covered, self)

        return arun

    @functools.wraps(real)
    def run_tool(self: Any, *args: Any, **kwargs: Any) -> Any:
        covered = _crewai_covered(self, ("_run", "func"))
        try:
            return real(covered, *args, **kwargs)
        finally:
            _count_uses(covered, self)

    return run_tool


def _crewai_structured(module: Any) -> None:
    tool_class = module.CrewStructuredTool
    real_invoke, real_ainvoke = tool_class.invoke, tool_class.ainvoke

    @functools.wraps(real_invoke)
    def invoke(self: Any, *args: Any, **kwargs: Any) -> Any:
        covered = _crewai_covered(self, ("func",))
        try:
            return real_invoke(covered, *args, **kwargs)
        finally:
            _count_uses(covered, self)

    @functools.wraps(real_ainvoke)
    async def ainvoke(self: Any, *args: Any, **kwargs: Any) -> Any:
        covered = _crewai_covered(self, ("func",), later=True)
        try:
            return await real_ainvoke(covered, *args, **kwargs)
        finally:
            _count_uses(covered, self)

    tool_class.invoke, tool_class.ainvoke = invoke, ainvoke


def _crewai_covered(tool: Any, names: Any, *, later: bool = False) -> Any:
    covered = copy.copy(tool)
    for name in names:
        real = getattr(tool, name, None)
        if real is not None:
            is_async = later or (inspect.iscoroutinefunction(real) and name != "func")
            covered.__dict__[name] = _crewai_code(tool, real, is_async)
    return covered


def _crewai_code(tool: Any, real: Callable[..., Any], is_async: bool) -> Callable[..., Any]:
    def asked(args: Any, kwargs: Dict[str, Any]) -> Mapping[str, Any]:
        return {**kwargs, **({"input": args[0] if len(args) == 1 else list(args)} if args else {})}

    name = run.name_of(tool.name, _snake(tool.name))
    if is_async:

        async def later(*args: Any, **kwargs: Any) -> Any:
            async def go() -> Any:
                value = real(*args, **kwargs)
                return await value if inspect.isawaitable(value) else value

            return await run.answer_later(name, asked(args, kwargs), go)

        return later
    return lambda *args, **kwargs: run.answer(
        name, asked(args, kwargs), lambda: real(*args, **kwargs)
    )


def _count_uses(covered: Any, tool: Any) -> None:
    if hasattr(tool, "current_usage_count"):
        tool.current_usage_count = covered.current_usage_count


def _snake(name: str) -> str:
    """The name under which CrewAI offers the tool to the model, and which traces have."""
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    return re.sub(r"_+", "_", re.sub(r"[^a-z0-9_]", "_", name.lower())).strip("_")


HOOKS: Dict[str, Callable[[Any], None]] = {
    "langchain_core.tools.base": _langchain,
    "langchain_core.retrievers": retrievers.hook,
    "agents.tool": _openai_agents,
    "pydantic_ai.toolsets.function": _pydantic_ai,
    "pydantic_ai.toolsets.prefixed": _pydantic_ai_names("PrefixedToolset"),
    "pydantic_ai.toolsets.renamed": _pydantic_ai_names("RenamedToolset"),
    "crewai.tools.base_tool": _crewai,
    "crewai.tools.structured_tool": _crewai_structured,
}
