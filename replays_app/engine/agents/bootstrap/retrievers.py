"""LangChain's retrievers: recorded documents in place of a search, as tools are answered."""

from __future__ import annotations

import copy
import functools
import importlib
import json
from typing import Any, Callable, Dict, List, Type
from weakref import WeakKeyDictionary

from . import run

_Own = Dict[str, Callable[..., Any]]
_WAYS = ("invoke", "ainvoke")
# What classes had of their own in place of the base's `invoke` and `ainvoke`.
_own: "WeakKeyDictionary[Type[Any], _Own]" = WeakKeyDictionary()


def hook(module: Any) -> None:
    """The search itself is covered on a copy, for one call; callbacks and config stay LangChain's.

    A class with an `invoke` of its own (an ensemble asks several retrievers in it) gets the base's,
    so that it is answered as a whole, and what it would ask is not asked.
    """
    base = module.BaseRetriever
    real_invoke, real_ainvoke = base.invoke, base.ainvoke
    real_init = base.__init_subclass__.__func__

    @functools.wraps(real_invoke)
    def invoke(self: Any, input: Any, config: Any = None, **kwargs: Any) -> Any:
        return real_invoke(_covered(self, input, config), input, config, **kwargs)

    @functools.wraps(real_ainvoke)
    async def ainvoke(self: Any, input: Any, config: Any = None, **kwargs: Any) -> Any:
        return await real_ainvoke(_covered(self, input, config), input, config, **kwargs)

    @functools.wraps(real_init)
    def init_subclass(cls: Any, **kwargs: Any) -> None:
        real_init(cls, **kwargs)
        own = {name: cls.__dict__[name] for name in _WAYS if name in cls.__dict__}
        if own:
            _own[cls] = own
            for name in own:
                setattr(cls, name, hooked[name])

    hooked = {"invoke": invoke, "ainvoke": ainvoke}
    base.invoke, base.ainvoke = invoke, ainvoke
    made: Any = init_subclass  # functools.wraps hides that its first argument is the class
    base.__init_subclass__ = classmethod(made)


def _covered(retriever: Any, query: Any, config: Any) -> Any:
    name = _name(retriever, config)
    asked = {"query": query}

    def _get_relevant_documents(*args: Any, **kwargs: Any) -> Any:
        def real() -> Any:
            own = _own_way(retriever, "invoke")
            if own is not None:
                return own(retriever, query, config)
            return retriever._get_relevant_documents(*args, **kwargs)

        return _documents(run.answer(name, asked, real))

    async def _aget_relevant_documents(*args: Any, **kwargs: Any) -> Any:
        async def real() -> Any:
            own = _own_way(retriever, "ainvoke")
            if own is not None:
                return await own(retriever, query, config)
            return await retriever._aget_relevant_documents(*args, **kwargs)

        return _documents(await run.answer_later(name, asked, real))

    covered = copy.copy(retriever)
    covered.__dict__["_get_relevant_documents"] = _get_relevant_documents
    covered.__dict__["_aget_relevant_documents"] = _aget_relevant_documents
    return covered


def _name(retriever: Any, config: Any) -> str:
    """As traces have it: the name of the run, else the retriever's."""
    named = config.get("run_name") if isinstance(config, dict) else None
    names = [named, retriever.get_name(), type(retriever).__name__]
    return run.name_of(*(name for name in names if isinstance(name, str) and name))


def _own_way(retriever: Any, name: str) -> Any:
    return next((_own[c][name] for c in type(retriever).__mro__ if name in _own.get(c, ())), None)


# --- What comes out


def _documents(value: Any) -> List[Any]:
    """As they were recorded: a list of `{page_content, metadata, id}`; a text is a document."""
    if isinstance(value, dict) and isinstance(value.get("documents"), list):
        value = value["documents"]
    if value is None:
        return []
    document = importlib.import_module("langchain_core.documents").Document
    items = value if isinstance(value, (list, tuple)) else [value]
    return [_document(document, item) for item in items]


def _document(document: Any, item: Any) -> Any:
    if isinstance(item, document):
        return item
    if isinstance(item, dict) and "lc" in item and isinstance(item.get("kwargs"), dict):
        item = item["kwargs"]
    if isinstance(item, dict) and isinstance(item.get("page_content"), str):
        given = {"page_content": item["page_content"]}
        if isinstance(item.get("metadata"), dict):
            given["metadata"] = item["metadata"]
        if item.get("id") is not None:
            given["id"] = str(item["id"])
        return document(**given)
    text = item if isinstance(item, str) else json.dumps(item, ensure_ascii=False, default=str)
    return document(page_content=text)
