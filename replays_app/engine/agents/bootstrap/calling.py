"""Puts the input to the agent's function or runnable, and takes whatever it answers."""

from __future__ import annotations

import importlib
import inspect
from typing import Any, Callable, Dict, List, Tuple

from .plainly import NotPlain, plain

_PROMPT = ("input", "prompt", "question", "query", "text", "message", "user_input")
_EARLIER = ("context", "history", "chat_history")
_MESSAGES = "messages"

Wait = Callable[[Any], Any]


class Unfit(Exception):
    """The configuration does not fit this agent; nothing was asked."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def load(path: str, field: str) -> Any:
    """What `module:name` names. Raises Unfit; whatever the module itself raises stays."""
    module, _, name = path.partition(":")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not (module == error.name or module.startswith(error.name + ".")):
            raise  # one that the agent imports
        raise Unfit(
            "no_module",
            f"{field} names the module {module}, and there is no {error.name}; check agent.cwd "
            "(where modules are looked for first), agent.python and the name",
        ) from error
    for part in name.split("."):
        if not hasattr(found, part):
            have = ", ".join(n for n in vars(found) if not n.startswith("_"))[:200]
            raise Unfit(
                "no_function", f"{field}: {module} has no {name}; check its name (it has {have})"
            )
        found = getattr(found, part)
    return found


def check(agent: Any, kind: str, endpoint: str) -> None:
    """Raises Unfit."""
    runnable = hasattr(agent, "invoke") or hasattr(agent, "ainvoke")
    if kind == "langchain" and not (runnable or callable(agent)):
        raise Unfit(
            "no_runnable",
            f"{endpoint} is {type(agent).__name__}, without invoke and ainvoke; name a runnable, "
            "or a function without arguments that makes one",
        )
    if kind == "langchain" and not runnable and (needed := _needed(agent)):
        raise Unfit(
            "no_runnable",
            f"{endpoint} is a function that needs {', '.join(needed)}; write type: python for one "
            "that is given the input, or name a runnable, or a function without arguments that "
            "makes one",
        )
    if kind == "langchain" and runnable:
        _keys[id(agent)] = _input_keys(agent)  # slow to tell, so before any attempt
    if kind == "python" and not callable(agent):
        advice = "; write type: langchain" if runnable else "; name a function"
        raise Unfit("no_function", f"{endpoint} is {type(agent).__name__}, not callable{advice}")


def _needed(function: Any) -> List[str]:
    """The arguments that it cannot be called without."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in parameters if p.default is p.empty and p.kind in (0, 1, 3)]


def call(agent: Any, kind: str, asked: Dict[str, Any], wait: Wait) -> Any:
    """The answer, as JSON. `wait` runs what is awaited: a plain function may have a loop of its
    own, so nothing runs around it. Raises Unfit, and whatever the agent raises."""
    if kind == "langchain":
        value = _invoked(agent, asked, wait)
    else:
        args, kwargs = _arguments(agent, asked)
        value = agent(*args, **kwargs)
    value = finished(value, wait)
    if inspect.isgenerator(value):
        value = _joined(list(value))
    elif inspect.isasyncgen(value):
        value = _joined(wait(_collected(value)))
    return told(value)


def finished(value: Any, wait: Wait) -> Any:
    """What a function that is sync or async returned."""
    return wait(_awaited(value)) if inspect.isawaitable(value) else value


async def _awaited(value: Any) -> Any:
    return await value


async def _collected(items: Any) -> List[Any]:
    return [item async for item in items]


def _invoked(agent: Any, asked: Dict[str, Any], wait: Wait) -> Any:
    if not (hasattr(agent, "invoke") or hasattr(agent, "ainvoke")):
        agent = finished(agent(), wait)
        if not (hasattr(agent, "invoke") or hasattr(agent, "ainvoke")):
            raise Unfit(
                "no_runnable",
                f"what agent.endpoint names made {_kind(agent)}, without invoke and ainvoke; "
                "it has to make a runnable",
            )
    value = _runnable_input(agent, asked)
    return agent.ainvoke(value) if hasattr(agent, "ainvoke") else agent.invoke(value)


def _joined(items: List[Any]) -> Any:
    if items and all(isinstance(item, str) for item in items):
        return "".join(items)
    return items


# --- What is put in


def _arguments(function: Any, asked: Dict[str, Any]) -> Tuple[List[Any], Dict[str, Any]]:
    if "template" in asked:
        return [asked["template"]], {}
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return [_whole(asked, "the function's signature cannot be read")], {}
    by_name = {p.name: p for p in parameters if p.kind is not p.VAR_POSITIONAL}
    kwargs: Dict[str, Any] = {}
    if _MESSAGES in by_name:
        kwargs[_MESSAGES] = asked["messages"]
    for name in _EARLIER:
        if name in by_name and asked["earlier"]:
            kwargs[name] = asked["earlier"]
    rest = [p for p in parameters if p.name not in kwargs]
    free = [p for p in rest if p.default is p.empty and p.kind in (0, 1, 3)]
    named = [p for p in rest if p.name in _PROMPT]
    if not free and named:
        free = named[:1]
    if not free and not kwargs:
        free = [p for p in rest if p.kind in (0, 1, 2)][:1]
    free = [p for p in free if p.name not in _EARLIER] or free[:0]
    if len(free) > 1:
        names = ", ".join(p.name for p in free)
        raise Unfit(
            "bad_signature",
            f"the function needs {len(free)} arguments ({names}), and the replay has an input, "
            "earlier turns (context) and messages; give the others defaults",
        )
    seen_all = bool(kwargs)
    if not free:
        return _placed([], kwargs, by_name)
    what = asked["prompt"] if seen_all else _whole(asked, "the function takes only the input")
    if free[0].kind == free[0].KEYWORD_ONLY:
        return _placed([], {**kwargs, free[0].name: what}, by_name)
    return _placed([what], kwargs, by_name)


def _placed(
    args: List[Any], kwargs: Dict[str, Any], by_name: Dict[str, Any]
) -> Tuple[List[Any], Dict[str, Any]]:
    """A positional-only name cannot be given by name."""
    only = [name for name in kwargs if by_name[name].kind is inspect.Parameter.POSITIONAL_ONLY]
    return [*args, *(kwargs.pop(name) for name in only)], kwargs


def _whole(asked: Dict[str, Any], why: str) -> Any:
    """The session's input where there is no place for earlier turns. Raises Unfit if it has some:
    they are never dropped."""
    if asked["context"]:
        raise Unfit(
            "no_place_for_context",
            f"the session has earlier turns ({len(asked['context'])}), and {why}; give it a "
            "parameter messages (the whole conversation) or context (the earlier turns), or write "
            "a request_template",
        )
    return asked["input"]


def _runnable_input(runnable: Any, asked: Dict[str, Any]) -> Any:
    if "template" in asked:
        return asked["template"]
    keys = _input_keys(runnable)
    if _MESSAGES in keys:
        return {_MESSAGES: asked["messages"]}
    place = next((name for name in ("chat_history", "history", "context") if name in keys), None)
    key = next((name for name in _PROMPT if name in keys), "input")
    if place is not None:
        return {key: asked["prompt"], place: asked["earlier"]}
    return {key: _whole(asked, "its input has no messages, chat_history or context")}


_keys: Dict[int, List[str]] = {}  # by the id of a runnable that lives as long as the process


def _input_keys(runnable: Any) -> List[str]:
    """The keys of its input schema; empty when it tells none."""
    if id(runnable) in _keys:
        return _keys[id(runnable)]
    for name in ("get_input_jsonschema", "input_schema"):
        try:
            found = getattr(runnable, name)
            schema = found() if name == "get_input_jsonschema" else found.schema()
            return list(schema.get("properties") or ())
        except Exception:
            continue
    return []


# --- What comes out


def told(value: Any) -> Any:
    """As JSON. A chat message is its text; a state with messages ends in the answer."""
    value = _unwrapped(value)
    if callable(getattr(value, "invoke", None)) and callable(getattr(value, "ainvoke", None)):
        raise Unfit(
            "no_answer",
            f"the agent answered {_kind(value)}, a runnable that nobody has asked yet; write type: "
            "langchain for a runnable, or a function that makes one",
        )
    for strict in (True, False):
        try:
            return plain(value, strict=strict)
        except NotPlain:
            if not isinstance(value, (dict, list, tuple)):
                break
    for name in ("output", "final_output", "data", "content", "text"):
        inner = getattr(value, name, None)
        if inner is not None and not callable(inner):
            return told(inner)
    if _says_nothing(value):
        raise Unfit(
            "no_answer",
            f"the agent answered {_kind(value)}, which has no text; let the function that "
            "agent.endpoint names return text, or what can be written as JSON",
        )
    return str(value)


def _says_nothing(value: Any) -> bool:
    """Its text would be an address in memory."""
    kind = type(value)
    if isinstance(value, type) or inspect.isroutine(value) or inspect.ismodule(value):
        return True
    plainest: Tuple[Any, Any] = (object.__str__, object.__repr__)
    return (kind.__str__, kind.__repr__) == plainest


def _kind(value: Any) -> str:
    if isinstance(value, type) or inspect.isroutine(value):
        return f"{value.__qualname__} itself"
    return f"an object of {type(value).__module__}.{type(value).__qualname__}"


def _unwrapped(value: Any) -> Any:
    if isinstance(value, dict) and isinstance(value.get(_MESSAGES), list) and value[_MESSAGES]:
        known = ("output", "response", "result", "answer")
        if not any(name in value for name in known):
            value = value[_MESSAGES][-1]
            if isinstance(value, dict) and "content" in value:
                value = value["content"]
    for name in ("final_output", "raw"):  # of openai-agents, of CrewAI
        if isinstance(getattr(value, name, None), str):
            return getattr(value, name)
    if hasattr(value, "content") and hasattr(value, "type") and not isinstance(value, dict):
        value = value.content
    if isinstance(value, list) and value and all(_is_block(item) for item in value):
        return "".join(item if isinstance(item, str) else item["text"] for item in value)
    return value


def _is_block(item: Any) -> bool:
    """A piece of a chat message's content."""
    return isinstance(item, dict) and item.get("type") == "text" and "text" in item
