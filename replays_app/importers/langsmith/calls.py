<<<<<<< HEAD
"""The calls of an agent in order: tool and retriever runs, and those that only messages show."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property

from replays_app.engine.values import Json
from replays_app.importers.langsmith.pairing import (
    Ask,
    Heard,
    Pairing,
    call_id_of,
    pair,
    run_args,
)
from replays_app.importers.langsmith.responses import (
    Response,
    error_line,
    is_waiting,
    parsed_of,
    read_response,
    text_of_failure,
)
from replays_app.importers.langsmith.tree import Run, Tree
from replays_app.importers.trace import Status, ToolCall

MAX_NESTING = 20  # calls inside calls; deeper ones are put beside the last
_NEVER = datetime.min.replace(tzinfo=UTC)
_LAST = 1 << 30  # a call that no model asked for, begun at the same time as one that it did


@dataclass(frozen=True, kw_only=True)
class _Placed:
    call: ToolCall
    owner: str | None  # id of the run that made it; None: the agent
    run: str | None  # its own
    when: tuple[datetime, int, str]


@dataclass(frozen=True, kw_only=True)
class Calls:
    tree: Tree

    @cached_property
    def pairing(self) -> Pairing:
        return pair(self.tree)

    def read(self) -> tuple[ToolCall, ...]:
        placed = [self._of_run(run) for run in self.tree.calls]
        placed += [each for ask in self.pairing.unanswered() if (each := self._of_ask(ask))]
        by_owner: dict[str | None, list[_Placed]] = defaultdict(list)
        for each in sorted(placed, key=lambda each: each.when):
            by_owner[each.owner].append(each)
        return _nested(by_owner, None)

    def lost(self) -> Iterator[str]:
        """Calls that were asked for, and of which nothing more is known."""
        for ask in self.pairing.unanswered():
            if self._of_ask(ask) is None:
                yield f"the model asked for {ask.call.name[:80]}, and nothing shows that it ran"

    # One call

    def _of_run(self, run: Run) -> _Placed:
        ask = self.pairing.of_run.get(run.id)
        heard = self._heard(run, ask)
        status = self._status(run)
        call_id = call_id_of(run) or (ask.call.id if ask else None)
        call = ToolCall(
            name=run.name or run.type,
            kind="retriever" if run.type == "retriever" else "tool",
            id=call_id,
            args=_args(run, ask),
            status=status,
            started_at=run.start,
            latency_ms=self._latency(run, heard),
        )
        if status == "success":
            call = _answered(call, _response(run, call_id, heard))
        else:
            call = replace(call, error=_error(run, status), seen=_seen(run, heard))
        number = ask.number if ask else _LAST
        start = run.start or self.tree.root.start or _NEVER
        return _Placed(
            call=call, owner=self._owner(run), run=run.id, when=(start, number, run.order)
        )

    def _of_ask(self, ask: Ask) -> _Placed | None:
        """A call without a run, as a loop that nobody traced makes it, or of an unknown name."""
        root, heard = self.tree.root, self.pairing.told(ask)
        call = ToolCall(name=ask.call.name, id=ask.call.id, args=ask.call.args)
        if heard is not None:
            call = _answered(call, _told(heard))
        elif root.error is not None and ask.turn == len(self.tree.models) - 1:
            call = replace(call, status="error", error=error_line(root.error))
        elif root.end is None and ask.turn == len(self.tree.models) - 1:
            call = replace(call, status="pending")
        else:
            return None
        when = (self._asked_at(ask), ask.number, ask.llm.order)
        return _Placed(call=call, owner=self._owner(ask.llm), run=None, when=when)

    def _asked_at(self, ask: Ask) -> datetime:
        """Not before the call that the model named before it in the same answer."""
        llm = ask.llm
        times = [llm.end or llm.start or self.tree.root.start or _NEVER]
        before = [number for number in ask.siblings if number < ask.number]
        times += [start for number in before if (start := self._starts.get(number))]
        return max(times)

    @cached_property
    def _starts(self) -> dict[int, datetime]:
        found: dict[int, datetime] = {}
        for id, ask in self.pairing.of_run.items():
            if (start := self.tree.by_id[id].start) is not None:
                found.setdefault(ask.number, start)
        return found

    def _heard(self, run: Run, ask: Ask | None) -> Heard | None:
        """Of several runs of one call (retries), the last is what the model was told of."""
        if ask is not None:
            last = self._last_runs[ask.number] == run.id
            return self.pairing.told(ask) if last else None
        heard = self.pairing.heard.get(call_id_of(run) or "", [])
        if not heard or heard[-1].at is None or run.start is None or heard[-1].at < run.start:
            return None
        return heard[-1]

    @cached_property
    def _last_runs(self) -> dict[int, str]:
        return {
            ask.number: run.id
            for run in self.tree.calls
            if (ask := self.pairing.of_run.get(run.id)) is not None
        }

    def _status(self, run: Run) -> Status:
        if is_waiting(run.error):
            return "pending"
        if run.error is not None:
            return "error"
        if run.end is None and not run.outputs:
            return "timeout" if self.tree.root.end is not None else "pending"
        return "success"

    def _latency(self, run: Run, heard: Heard | None) -> float | None:
        """Milliseconds. Of a call that never ended, until the model went on without it, or else
        the call that made it or the whole trace ended."""
        end = run.end
        if end is None and self._status(run) == "timeout":
            above = self.tree.caller(run)
            ends = [heard.at if heard else None, above.end if above else None, self.tree.root.end]
            end = next((each for each in ends if each is not None), None)
        if end is None or run.start is None:
            return None
        return max(0.0, (end - run.start).total_seconds() * 1000)

    def _owner(self, run: Run) -> str | None:
        chain = []
        above = self.tree.caller(run)
        while above is not None:
            chain.append(above.id)
            above = self.tree.caller(above)
        return chain[max(0, len(chain) - MAX_NESTING)] if chain else None


def _nested(by_owner: dict[str | None, list[_Placed]], owner: str | None) -> tuple[ToolCall, ...]:
    return tuple(
        replace(each.call, children=_nested(by_owner, each.run) if each.run else ())
        for each in by_owner.get(owner, ())
    )


def _args(run: Run, ask: Ask | None) -> dict[str, Json] | None:
    """What the tool was given. Where that is no mapping (a repr that is no literal), or was
    hidden, what the model asked for."""
    args = run_args(run)
    if ask is None or ask.call.args is None or ask.call.args == args:
        return args
    is_text = run.inputs == args and isinstance(run.inputs, dict) and set(run.inputs) == {"input"}
    if run.inputs == ask.call.args or not args or is_text:
        return ask.call.args
    return args


def _response(run: Run, call_id: str | None, heard: Heard | None) -> Response:
    response = read_response(run, call_id)
    return _told(heard) if response.is_missing and heard is not None else response


def _told(heard: Heard) -> Response:
    told = heard.told
    failure = text_of_failure(told.content) if told.is_error else None
    return Response(value=told.content, artifact=told.artifact, failure=failure)


def _answered(call: ToolCall, response: Response) -> ToolCall:
    return replace(
        call,
        id=call.id or response.id,
        response=response.value,
        parsed=parsed_of(response.value),
        artifact=response.artifact,
        response_missing=response.is_missing,
        status="success" if response.failure is None else "error",
        error=response.failure,
    )


def _error(run: Run, status: Status) -> str | None:
    return error_line(run.error) if status == "error" and run.error else None


def _seen(run: Run, heard: Heard | None) -> Json:
    if run.outputs:
        value = read_response(run, None).value
        return value if value is not None else None
    return heard.told.content if heard else None
=======
"""One call of LangSmith: paced, tried again where that may help, and every no in words."""

from __future__ import annotations

import json
from typing import NoReturn

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
            return NotSupported(f"{where} does not support this (501{_in_brackets(said)}).")
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
        return ImportProblem(
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
>>>>>>> 626e18b (LangSmith's runs are fetched by both of its APIs, paced, bounded, and with a word for every no)
