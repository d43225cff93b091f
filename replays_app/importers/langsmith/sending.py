"""One call of LangSmith: paced, tried again where that may help, and every no in words."""

from __future__ import annotations

import json
from typing import NoReturn, Self

import requests

from replays_app.engine.hosts import HostRefused
from replays_app.engine.values import Json
from replays_app.importers.http import MAX_ANSWER, TooLarge
from replays_app.importers.langsmith.api import Api, Query, Reply
from replays_app.importers.langsmith.errors import ImportProblem
from replays_app.importers.langsmith.pacing import Pacer

TRIES = 5
AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})

# What LangSmith publishes for its cloud: (requests, seconds).
LIMITS = {
    "v1 query": (15, 10.0),
    "v1 run": (30, 60.0),
    "v2": (300, 10.0),
}
RETENTION = "LangSmith deletes traces after 14 days unless they were kept for longer."


class NotFound(ImportProblem):
    """404: no such thing, or no such endpoint."""


class NotSupported(ImportProblem):
    """501: this installation does not have the endpoint's backend."""


class AnswerTooLarge(ImportProblem):
    """A smaller page would do."""


class Refused(ImportProblem):
    """400 or 422: the question is not one that this installation takes."""


class Endless(ImportProblem):
    """The same page again and again."""

    @classmethod
    def after(cls, where: str, found: int) -> Self:
        return cls(
            f"{where} gave the same page again and again, after {found:,} runs.",
            "What came is kept. Import again later, or with a shorter range.",
        )


class Caller:
    """Raises ImportProblem and Stopped. No message holds the key."""

    def __init__(self, where: str, pacer: Pacer) -> None:
        self._where = where  # how messages call the server
        self._pacer = pacer
        self.count = 0  # requests that were sent

    def call(
        self,
        api: Api,
        method: str,
        path: str,
        *,
        kind: str = "",
        query: Query | None = None,
        body: Json = None,
    ) -> Json:
        """The JSON of the answer."""
        for tried in range(1, TRIES + 1):
            self._pacer.take(kind)
            self.count += 1
            try:
                reply = api.send(method, path, query=query or {}, body=body)
                if reply.status in AGAIN and tried < TRIES:
                    problem: ImportProblem = self._status(reply)
                else:
                    return self._json(reply)
                after = reply.headers.get("retry-after")
            except _Broken as broken:
                problem, after = ImportProblem(broken.message, broken.remedy, may_pass=True), None
            except (requests.RequestException, OSError) as error:
                problem, after = self._unreachable(error), None
            except TooLarge:
                raise AnswerTooLarge(
                    f"{self._where} sent more than {MAX_ANSWER // 2**20} MB at once.",
                    "Import fewer traces at a time, or a narrower range.",
                ) from None
            if tried == TRIES or not problem.may_pass:
                raise problem
            self._pacer.wait(self._pacer.before_retry(tried, after))
        raise AssertionError("the last try returns or raises")

    def _json(self, reply: Reply) -> Json:
        if reply.status != 200:
            raise self._status(reply)
        kind = reply.headers.get("content-type", "").partition(";")[0].strip()
        try:
            value: Json = json.loads(reply.body)
        except (ValueError, RecursionError):
            start = reply.body[:200].lstrip().lower()
            if kind == "text/html" or start.startswith(b"<"):
                raise _Broken(
                    f"{self._where} answered with a web page instead of JSON.",
                    "See that the address is that of the API, and that no proxy or login page is "
                    "in between.",
                ) from None
            raise _Broken(
                f"{self._where} sent an answer of {len(reply.body):,} bytes that is no whole JSON.",
                "The connection may have been cut; import again.",
            ) from None
        return value

    def _status(self, reply: Reply) -> ImportProblem:
        said, where = _detail(reply.body), self._where
        if reply.status == 401:
            return ImportProblem(
                f"{where} does not take the key (401).",
                "Make a new key in LangSmith under Settings, API keys, and save it here.",
            )
        if reply.status == 403:
            if "workspace" in said.lower():
                return ImportProblem(
                    f"{where} wants to know the workspace: the key is one of the whole "
                    "organisation (403).",
                    "Give the workspace's id, or use a key of the workspace.",
                )
            return ImportProblem(
                f"{where} does not let this key in (403).",
                "See that the key is of the workspace that has the project, and may read it.",
            )
        if reply.status == 404:
            return NotFound(f"{where} does not have it (404{_in_brackets(said)}).", RETENTION)
        if reply.status == 429:
            return ImportProblem(
                f"{where} is asked too often (429), and was waited for {TRIES - 1} times.",
                "Import again in some minutes; what was imported is not imported twice.",
                may_pass=True,
            )
        if reply.status == 501:
            return NotSupported(
                f"{where} does not support this (501{_in_brackets(said)}).",
                "Ask whoever runs it for LangSmith 0.16 or newer, or for its v1 API.",
            )
        if reply.status >= 500 or reply.status in AGAIN:
            return ImportProblem(
                f"{where} has a fault of its own ({reply.status}{_in_brackets(said)}).",
                "Import again later; what was imported is not imported twice.",
                may_pass=True,
            )
        if 300 <= reply.status < 400:
            to = reply.headers.get("location", "")[:200]
            return ImportProblem(
                f"{where} leads to another address ({reply.status}: {to or 'unnamed'}).",
                "Give that address, if it is the right one; redirects are not followed.",
            )
        kind = Refused if reply.status in (400, 422) else ImportProblem
        return kind(
            f"{where} refuses the request ({reply.status}{_in_brackets(said)}).",
            "Look at the project, the filter and the dates.",
        )

    def _unreachable(self, error: Exception) -> ImportProblem:
        refused = _refused(error)
        if refused is not None:
            return ImportProblem(f"{refused.saw[:1].upper()}{refused.saw[1:]}.", refused.remedy)
        if isinstance(error, requests.Timeout | TimeoutError):
            return ImportProblem(
                f"{self._where} did not answer in time.",
                "It may be busy: import again, or take a shorter range.",
                may_pass=True,
            )
        if isinstance(error, requests.exceptions.SSLError):
            return ImportProblem(
                f"{self._where} has a certificate that is not trusted here.",
                "See that the address is right, and that this machine knows the authority.",
            )
        if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.MissingSchema):
            return ImportProblem(
                f"{self._where} is no address.", "Write it like https://api.smith.langchain.com."
            )
        return ImportProblem(
            f"{self._where} cannot be reached, or cut the connection.",
            "See that the address is right and that this machine may connect to it.",
            may_pass=True,
        )


class _Broken(Exception):
    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy


def _refused(error: BaseException | None) -> HostRefused | None:
    """What our own check said, however deep the libraries packed it."""
    seen = 0
    while error is not None and seen < 10:
        if isinstance(error, HostRefused):
            return error
        inner = [a for a in error.args if isinstance(a, BaseException)]
        reason = getattr(error, "reason", None)
        inner += [reason] if isinstance(reason, BaseException) else []
        error = error.__cause__ or (inner[0] if inner else error.__context__)
        seen += 1
    return None


def _detail(body: bytes) -> str:
    """What the server says is wrong, bounded; it never repeats the key."""
    try:
        value = json.loads(body[:10_000])
    except (ValueError, RecursionError):
        return ""
    for name in ("detail", "error", "message", "title"):
        said = value.get(name) if isinstance(value, dict) else None
        if isinstance(said, str) and said.strip():
            return " ".join(said.split())[:200]
        if isinstance(said, list) and said and isinstance(said[0], dict):
            return " ".join(str(said[0].get("msg", "")).split())[:200]
    return ""


def _in_brackets(said: str) -> str:
    return f": {said}" if said else ""


def unexpected(where: str, what: str) -> NoReturn:
    raise ImportProblem(
        f"{where} answered in a form that is not known here: {what}.",
        "See that the address is LangSmith's API; if it is, please report this.",
    )
