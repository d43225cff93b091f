"""Log lines, as text or as JSON, each with what it belongs to: a request, or a worker's runs.

No line holds a body, a query string or a path: paths carry invitations, so a request is named by
its route. Imports no Django, since the web server reads this before there is any.
"""

from __future__ import annotations

import json
import logging
import re
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

_context: ContextVar[Mapping[str, Any]] = ContextVar("log_context", default=MappingProxyType({}))
_CONTROLS = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")

FIELDS = "fields"  # the `extra` of a line's own fields: log.info(…, extra={FIELDS: {…}})


@contextmanager
def bound(**fields: Any) -> Iterator[None]:
    """Every line that is written inside, in this thread or task and what it starts, has them."""
    token = _context.set({**_context.get(), **fields})
    try:
        yield
    finally:
        _context.reset(token)


def route_of(request: Any) -> str:
    """`p/<slug:slug>/incidents/`, the same for all incidents; a dash for what led nowhere."""
    if known := getattr(request, "route", ""):
        return known
    match = getattr(request, "resolver_match", None)
    return (match.route or "/") if match else "-"


def places(fault: BaseException) -> str:
    """`KeyError at convert.py:120 in _calls, readers.py:33 in read`: a traceback without what the
    error says, which may quote what somebody's agent was asked."""
    frames = reversed(traceback.extract_tb(fault.__traceback__))
    at = ", ".join(f"{Path(f.filename).name}:{f.lineno} in {f.name}" for f in frames)
    return f"{type(fault).__name__} at {at}"


class Context(logging.Filter):
    """Adds what the line belongs to, and takes the path out of Django's own lines."""

    def filter(self, record: logging.LogRecord) -> bool:
        request = getattr(record, "request", None)
        fields = {**_context.get(), **getattr(record, FIELDS, {})}
        if known := getattr(request, "request_id", None):
            fields["request"] = known  # Django writes some lines when the request is over
        setattr(record, FIELDS, fields)
        if isinstance(record.args, tuple) and hasattr(request, "path"):
            path = request.path
            escaped = path.encode("unicode_escape").decode("ascii")
            record.args = tuple(
                route_of(request) if arg in (path, escaped) else arg for arg in record.args
            )
        return True


class Text(logging.Formatter):
    """One line for people; a traceback follows on lines of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{k}={v}" for k, v in getattr(record, FIELDS, {}).items())
        said = f"{record.asctime} {record.levelname} {record.name}: {record.message} {fields}"
        # What came from outside must not write lines of its own.
        return _CONTROLS.sub(lambda m: m[0].encode("unicode_escape").decode(), said.rstrip())

    def usesTime(self) -> bool:
        return True


class Json(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


FORMATS = {"text": Text, "json": Json}


def config(format_name: str, level: str) -> dict[str, Any]:
    """For logging.config.dictConfig; everything goes to stderr."""
    kind = FORMATS[format_name]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"context": {"()": f"{__name__}.{Context.__name__}"}},
        "formatters": {"line": {"()": f"{__name__}.{kind.__name__}"}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "line",
                "filters": ["context"],
            }
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Django's default handlers write to stderr too, or mail to nobody.
            "django": {"handlers": [], "propagate": True},
            "django.server": {"handlers": [], "propagate": True},
            # replays_app.middleware writes the line of a request.
            "gunicorn.access": {"handlers": [], "propagate": False, "level": "CRITICAL"},
            "gunicorn.error": {"handlers": [], "propagate": True},
            # A line for every request that an import sends would be too many.
            "httpx2": {"handlers": [], "propagate": True, "level": "WARNING"},
        },
    }
