"""The model's API behind the LLM door: `agent.llm`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field

from replays_app.engine.formats.session import Strict

_REFERENCE = re.compile(r"\$\{[A-Za-z_]\w*\}", re.ASCII)


class LlmConfig(Strict):
    """The model's API behind the LLM door."""

    upstream: str | None = None  # base URL; None: that of OpenAI or of Anthropic
    answers: Literal["live", "recorded"] = "live"  # recorded: the session's model_responses
    key: str | None = Field(None, min_length=1, repr=False)  # None: the agent sends its own


def is_played_back(llm: LlmConfig | None) -> bool:
    """Whether the model's answers are recorded ones. Attempts are alike then: many of them say no
    more than one, and none is a draw from which a verdict may be made."""
    return llm is not None and llm.answers == "recorded"


def check_llm(llm: LlmConfig, written: LlmConfig) -> Iterator[tuple[str, str]]:
    """What is wrong, by field. `written`: before `${VAR}` was expanded."""
    if llm.upstream is not None and not _is_base_url(llm.upstream):
        shown = f"is {written.upstream!r}, must be the base URL of the model's API"
        yield "upstream", f"{shown}, such as https://api.openai.com"
    if written.key is not None and not _REFERENCE.fullmatch(written.key):
        message = "is a key written into the file; write ${NAME} and set the variable NAME to it"
        yield "key", message
    elif llm.key is not None and not _is_header_value(llm.key):
        yield "key", "has a value that no HTTP header can hold; check its variable"


def is_http_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_base_url(url: str) -> bool:
    """Without a query, and without a password in it."""
    parts = urlsplit(url) if is_http_url(url) else None
    return parts is not None and not (parts.query or parts.fragment or "@" in parts.netloc)


def _is_header_value(text: str) -> bool:
    return text.isascii() and text.isprintable() and text == text.strip() and bool(text)
