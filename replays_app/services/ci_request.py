"""What a webhook asks for, read strictly: JSON, and every mistake named with its field."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from replays_app.engine.formats.errors import FormatError, Problem
from replays_app.engine.formats.loading import load_documents, validate
from replays_app.services.batches import MOST, Selection

MAX_BYTES = 256 * 1024
MAX_TAGS = 50
_Text = Annotated[str, Field(min_length=1, max_length=200)]


class Tags(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    tags: Annotated[list[_Text], Field(min_length=1, max_length=MAX_TAGS)]

    @field_validator("tags")
    @classmethod
    def _visible(cls, tags: list[str]) -> list[str]:
        if not all(tag.isprintable() for tag in tags):
            raise ValueError("holds characters that cannot be seen; leave them out")
        return tags


class CiRequest(BaseModel):
    """The body of `POST /hooks/ci/<id>`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: Annotated[str, Field(min_length=1, max_length=100)]
    commit: Annotated[str, Field(max_length=64)] = ""
    endpoint: Annotated[str, Field(max_length=2000)] = ""
    incidents: Any
    attempts: Annotated[int, Field(ge=1, le=100)] = 1
    strict: bool = False
    title: Annotated[str, Field(max_length=200)] = ""

    @field_validator("version", "commit", "endpoint", "title")
    @classmethod
    def _visible(cls, text: str) -> str:
        if not text.isprintable():
            raise ValueError("holds characters that cannot be seen; leave them out")
        return text

    @field_validator("incidents")
    @classmethod
    def _selection(cls, value: Any) -> Any:
        if value == "all" or isinstance(value, dict):
            return value
        if not isinstance(value, list) or not all(isinstance(key, str) for key in value):
            raise ValueError('must be "all", {"tags": ["checkout"]} or a list of keys')
        if not 1 <= len(value) <= MOST:
            raise ValueError(f"names {len(value):,} incidents, must name 1 to {MOST:,}")
        if not all(0 < len(key) <= 30 for key in value):
            raise ValueError("holds a key that is none; one looks like FIN-12")
        return value


def read(body: bytes) -> tuple[CiRequest, Selection]:
    """Raises FormatError with all problems."""
    documents = load_documents(body, source="body.json", max_bytes=MAX_BYTES)
    if not documents:
        raise FormatError([Problem("is empty; send JSON", source="body.json")])
    asked = validate(CiRequest, documents[0].value, documents[0])
    chosen = asked.incidents
    if chosen == "all":
        return asked, Selection(everything=True)
    if isinstance(chosen, dict):
        tags = validate(Tags, chosen, documents[0], ("incidents",))
        return asked, Selection(tags=tuple(dict.fromkeys(tags.tags)))
    return asked, Selection(keys=tuple(dict.fromkeys(chosen)))
