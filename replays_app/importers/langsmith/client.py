"""Fetching from LangSmith: v2 first, v1 where that is what an installation has.

A project's traces come root by root in pages, and then, for 50 traces at a time, the runs that an
importer reads: one request per run would take hours at the published limits.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from replays_app.engine.hosts import AllowedHosts
from replays_app.engine.values import Json
from replays_app.importers.http import Session
from replays_app.importers.langsmith.api import V1, V2, Api
from replays_app.importers.langsmith.api import Query as Asked
from replays_app.importers.langsmith.errors import ImportProblem
from replays_app.importers.langsmith.pacing import Pacer
from replays_app.importers.langsmith.query import Query, children_filter, chunks
from replays_app.importers.langsmith.references import Reference, page_of, read_reference, uuid_of
from replays_app.importers.langsmith.sending import (
    LIMITS,
    RETENTION,
    AnswerTooLarge,
    Caller,
    NotFound,
    NotSupported,
    unexpected,
)

Run = dict[str, Json]

DEFAULT_URL = "https://api.smith.langchain.com"
TIMEOUT = (5.0, 30.0)  # seconds: to connect, and between two bytes of an answer
TRACES_AT_ONCE = 50  # whose runs are asked for together
PAGE_V1, PAGE_V2 = 100, 1000  # the most that a page may hold
MAX_PAGES = 2_000  # of one question
MAX_RUNS = 20_000  # of one trace
PROJECTS_SHOWN = 5

# What is read of a run. Without `select` attachments would be downloaded too.
FIELDS = (
    *("id", "name", "run_type", "start_time", "end_time", "status", "error", "inputs", "outputs"),
    *("extra", "tags", "parent_run_ids", "trace_id", "dotted_order", "feedback_stats", "app_path"),
)
FIELDS_V1 = (*FIELDS, "parent_run_id", "session_id")
FIELDS_V2 = tuple(name.upper() for name in (*FIELDS, "project_id"))
LIGHT_V2 = ("ID", "NAME", "TRACE_ID", "PROJECT_ID", "STATUS", "START_TIME")  # of a root in a list


@dataclass(frozen=True, slots=True)
class Page:
    """`cursor` continues after this page (Connection.find); None: it was the last. `found` counts
    the roots so far, of this call."""

    roots: list[Run]
    cursor: str | None
    found: int


@dataclass(frozen=True, slots=True)
class Fetched:
    """The runs of one trace, or why there are none."""

    id: str
    runs: list[Run]
    problem: str = ""


class Connection:
    """One installation of LangSmith, asked with one key. Everything raises ImportProblem, and
    Stopped once `should_stop` says so.

    `url` is that of the API; `hosts` is where connections may lead, None: anywhere.
    """

    def __init__(
        self,
        url: str,
        key: str,
        workspace: str = "",
        *,
        hosts: AllowedHosts | None,
        pause: Callable[[float], object] = time.sleep,
        should_stop: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
        timeout: tuple[float, float] = TIMEOUT,
    ) -> None:
        self.url = _base(url)
        self._key, self._workspace = key.strip(), workspace.strip()
        self._session = Session(hosts, timeout=timeout)
        self._pacer = Pacer(LIMITS, pause=pause, should_stop=should_stop, clock=clock)
        self._caller = Caller(self.url, self._pacer)
        self._apis: dict[str, Api] = {}
        self._version: Literal["v1", "v2"] | None = None
        self._has_other = True  # whether the other API may be tried instead
        self._projects: dict[str, str] = {}

    @property
    def requests(self) -> int:
        """How many were sent."""
        return self._caller.count

    def test(self) -> str:
        """That the key may read, as a sentence. `/info` would answer without one."""
        answer = self._ask("GET", "/sessions", query={"limit": "1"})
        if not _listed(answer, "items"):
            return f"{self.url} takes the key; it sees no project yet."
        return f"{self.url} takes the key."

    def project(self, name: str) -> str:
        """The id of a project by its name, or by its id."""
        if name in self._projects:
            return self._projects[name]
        answer = self._ask("GET", "/sessions", query={"name": name, "limit": "1"})
        rows = [row for row in _listed(answer, "items") if row.get("name") == name]
        found = str(rows[0].get("id", "")) if rows else uuid_of(name)
        if not found:
            raise self._no_project(name)
        self._projects[name] = found
        return found

    def find(self, query: Query, after: str | None = None) -> Iterator[Page]:
        """Roots, newest first. `after`: the cursor of the last page that was dealt with."""
        project = self.project(query.project)
        windows = query.windows(datetime.now(UTC))
        at, cursor = _position(after, len(windows))
        found, seen = 0, set[str]()
        for number in range(at, len(windows)):
            for _ in range(MAX_PAGES):
                left = None if query.limit is None else query.limit - found
                rows, following = self._roots(project, query, windows[number], cursor, left)
                new = [row for row in rows if str(row.get("id")) not in seen]
                seen.update(str(row.get("id")) for row in new)
                new = new if left is None else new[:left]
                found += len(new)
                more = following or (number + 1 < len(windows) and not following)
                is_over = query.limit is not None and found >= query.limit
                position = _written(number if following else number + 1, following)
                yield Page(new, position if more and not is_over else None, found)
                if is_over:
                    return
                if following and (following == cursor or not new):
                    raise _endless(self.url, found)
                cursor = following
                if not following:
                    break
            else:
                raise _endless(self.url, found)

    def traces(self, project: str, roots: Sequence[Run]) -> Iterator[Fetched]:
        """The traces of these roots, each whole as far as it is read, in their order."""
        ids = [str(root.get("trace_id") or root.get("id") or "") for root in roots]
        given = dict(zip(ids, roots, strict=True))
        for root in (root for trace, root in zip(ids, roots, strict=True) if not trace):
            yield Fetched("", [], f"A root without an id ({str(root.get('name'))[:80]}).")
        for chunk in chunks([i for i in given if i], TRACES_AT_ONCE):
            runs, problems = self._runs_of(project, chunk)
            for trace in chunk:
                if trace in problems:
                    yield Fetched(trace, [], problems[trace])
                else:
                    yield self._fetched(trace, runs.get(trace, []), given[trace])

    def one(self, reference: str) -> Fetched:
        """The trace of one run: its id, the address of its page, or a share link. The run may be
        any of its trace."""
        found = read_reference(reference)
        if found.api and found.api != self.url and not (found.share and not self._key):
            raise ImportProblem(
                f"This address belongs to {found.api}, and the connection is to {self.url}.",
                "Use the endpoint and the key of that cloud.",
            )
        if found.share:
            return self._shared(found.share)
        return self._of_run(found)

    def _fetched(self, trace: str, runs: list[Run], root: Run | None) -> Fetched:
        """With the address of the page that shows it; the runs name only its path."""
        fetched = _fetched(trace, runs, root)
        for run in fetched.runs:
            if run.get("id") == trace and (page := page_of(self.url, str(run.get("app_path")))):
                run["app_path"] = page
        return fetched

    # --- One run ---------------------------------------------------------------------------------

    def _of_run(self, reference: Reference) -> Fetched:
        run = self._run(reference)
        trace = str(run.get("trace_id") or run.get("id") or reference.run)
        project = str(run.get("session_id") or run.get("project_id") or reference.project)
        runs: list[Run] = []
        if self._api_version() == "v1":
            body: Run = {"trace": trace, "select": list(FIELDS_V1)}
            for rows, _ in self._pages_v1(body):
                runs += rows
        else:
            body = {"project_ids": [project], "trace_id": trace, "selects": list(FIELDS_V2)}
            body |= _window_v2(Query(project=project).windows(datetime.now(UTC))[0])
            for rows, _ in self._pages_v2(body):
                runs += rows
        return self._fetched(trace, runs, run)

    def _run(self, reference: Reference) -> Run:
        try:
            if self._api_version() == "v1":
                answer = self._v1("GET", f"/runs/{reference.run}", kind="v1 run")
            else:
                answer = self._run_v2(reference)
        except NotFound as error:
            raise ImportProblem(
                f"{self.url} has no run {reference.run} that this key may see.",
                f"Look at the id and at the workspace of the key. {RETENTION}",
            ) from error
        if not isinstance(answer, dict):
            unexpected(self.url, "a run is no mapping")
        return answer

    def _run_v2(self, reference: Reference) -> Json:
        """v2 finds a run only inside a project; the address of a page names it, an id does not."""
        if reference.project:
            fields = ["ID", "TRACE_ID", "PROJECT_ID"]
            query: Asked = {"project_id": reference.project, "selects": fields}
            return self._v2("GET", f"/runs/{reference.run}", query=query)
        if self._has_other:
            try:
                return self._v1("GET", f"/runs/{reference.run}", kind="v1 run")
            except NotSupported:
                self._has_other = False
        projects = [str(row["id"]) for row in self._all_projects() if row.get("id")]
        for some in chunks(projects, TRACES_AT_ONCE):
            body: Run = {"project_ids": list(some), "ids": [reference.run]}
            body |= {"selects": ["ID", "TRACE_ID", "PROJECT_ID"]}
            body |= _window_v2(Query(project="").windows(datetime.now(UTC))[0])
            rows, _ = self._page_v2(body, None)
            if rows:
                return rows[0]
        raise NotFound(f"{self.url} does not have it.", RETENTION)

    def _shared(self, token: str) -> Fetched:
        """What everybody who has the link may read."""
        try:
            if self._api_version() == "v1":
                answer = self._v1("POST", f"/public/{token}/runs/query", kind="v1 query", body={})
            else:
                answer = self._v2(
                    "POST", f"/public/{token}/runs/query", body={"selects": list(FIELDS_V2)}
                )
        except NotFound as error:
            raise ImportProblem(
                f"{self.url} knows no such share link.",
                "It may have been taken back; share the run again, and paste the new link.",
            ) from error
        runs = _rows(answer)
        trace = str(runs[0].get("trace_id") or "") if runs else token
        return self._fetched(trace or token, runs, None)

    # --- Roots and their runs --------------------------------------------------------------------

    def _roots(
        self,
        project: str,
        query: Query,
        window: tuple[datetime, datetime],
        cursor: str | None,
        left: int | None,
    ) -> tuple[list[Run], str | None]:
        expression = query.expression()
        if self._api_version() == "v1":
            body: Run = {"session": [project], "is_root": True, "select": list(FIELDS_V1)}
            body |= {"start_time": window[0].isoformat(), "end_time": window[1].isoformat()}
            body["limit"] = min(PAGE_V1, left or PAGE_V1)
            body |= {"error": query.has_error} if query.has_error is not None else {}
            body |= {"filter": expression} if expression else {}
            return self._page_v1(body, cursor)
        body = {"project_ids": [project], "is_root": True, "selects": list(LIGHT_V2)}
        body |= _window_v2(window)
        body["page_size"] = min(PAGE_V2, left or PAGE_V2)
        body |= {"has_error": query.has_error} if query.has_error is not None else {}
        body |= {"filter": expression} if expression else {}
        return self._page_v2(body, cursor)

    def _runs_of(
        self, project: str, traces: Sequence[str]
    ) -> tuple[dict[str, list[Run]], dict[str, str]]:
        """By trace, and why there are none. Answers that are too long are asked for in halves."""
        found: dict[str, list[Run]] = {trace: [] for trace in traces}
        try:
            for rows, _ in self._children(project, traces):
                for row in rows:
                    runs = found.get(str(row.get("trace_id")))
                    if runs is not None and len(runs) < MAX_RUNS:
                        runs.append(row)
        except AnswerTooLarge:
            if len(traces) == 1:
                return {}, {traces[0]: "This trace is too long to be read in one answer."}
            half = len(traces) // 2
            first, why = self._runs_of(project, traces[:half])
            second, why_not = self._runs_of(project, traces[half:])
            return first | second, why | why_not
        return found, {}

    def _children(
        self, project: str, traces: Sequence[str]
    ) -> Iterator[tuple[list[Run], str | None]]:
        if self._api_version() == "v1":
            body: Run = {"session": [project], "select": list(FIELDS_V1), "limit": PAGE_V1}
            body["filter"] = children_filter(traces, with_roots=False)
            yield from self._pages_v1(body)
            return
        body = {"project_ids": [project], "selects": list(FIELDS_V2), "page_size": PAGE_V2}
        body["filter"] = children_filter(traces, with_roots=True)
        body |= _window_v2(Query(project=project).windows(datetime.now(UTC))[0])
        yield from self._pages_v2(body)

    # --- Pages -----------------------------------------------------------------------------------

    def _pages_v1(self, body: Run) -> Iterator[tuple[list[Run], str | None]]:
        yield from self._pages(lambda cursor: self._page_v1(body, cursor))

    def _pages_v2(self, body: Run) -> Iterator[tuple[list[Run], str | None]]:
        yield from self._pages(lambda cursor: self._page_v2(body, cursor))

    def _pages(
        self, page: Callable[[str | None], tuple[list[Run], str | None]]
    ) -> Iterator[tuple[list[Run], str | None]]:
        cursor, seen = None, set[str]()
        for _ in range(MAX_PAGES):
            rows, following = page(cursor)
            new = [row for row in rows if str(row.get("id")) not in seen]
            seen.update(str(row.get("id")) for row in new)
            yield new, following
            if not following:
                return
            if following == cursor or not new:
                break
            cursor = following
        raise _endless(self.url, len(seen))

    def _page_v1(self, body: Run, cursor: str | None) -> tuple[list[Run], str | None]:
        more: Run = {"cursor": cursor} if cursor else {}
        answer = self._v1("POST", "/runs/query", kind="v1 query", body=body | more)
        cursors = answer.get("cursors") if isinstance(answer, dict) else None
        following = cursors.get("next") if isinstance(cursors, dict) else None
        return _rows(answer), str(following) if following else None

    def _page_v2(self, body: Run, cursor: str | None) -> tuple[list[Run], str | None]:
        more: Run = {"cursor": cursor} if cursor else {}
        answer = self._v2("POST", "/runs/query", body=body | more)
        following = answer.get("next_cursor") if isinstance(answer, dict) else None
        return _rows(answer), str(following) if following else None

    # --- Which API -------------------------------------------------------------------------------

    def _api_version(self) -> Literal["v1", "v2"]:
        if self._version is None:
            try:
                answer = self._v1("GET", "/info")
            except NotFound:
                answer = {}
            flags = answer.get("instance_flags") if isinstance(answer, dict) else None
            flags = flags if isinstance(flags, dict) else {}
            self._version = "v2" if flags.get("sdb_query_enabled") else "v1"
            other = "ch_query_enabled" if self._version == "v2" else "sdb_query_enabled"
            self._has_other = bool(flags.get(other, self._version == "v2"))
        return self._version

    def _v1(
        self,
        method: str,
        path: str,
        *,
        kind: str = "",
        query: Asked | None = None,
        body: Json = None,
    ) -> Json:
        if "v1" not in self._apis:
            self._apis["v1"] = V1(self.url, self._key, self._workspace, self._session)
        return self._caller.call(self._apis["v1"], method, path, kind=kind, query=query, body=body)

    def _v2(self, method: str, path: str, *, query: Asked | None = None, body: Json = None) -> Json:
        if "v2" not in self._apis:
            self._apis["v2"] = V2(self.url, self._key, self._workspace, self._session)
        return self._caller.call(self._apis["v2"], method, path, kind="v2", query=query, body=body)

    def _ask(self, method: str, path: str, *, query: dict[str, str]) -> Json:
        """What both APIs have."""
        if self._api_version() == "v1":
            return self._v1(method, path, query=query)
        return self._v2(method, path, query=query)

    def _all_projects(self) -> list[Run]:
        answer = self._ask("GET", "/sessions", query={"limit": "100"})
        return _listed(answer, "items")

    def _no_project(self, name: str) -> ImportProblem:
        import difflib

        names = [str(row.get("name")) for row in self._all_projects() if row.get("name")]
        near = difflib.get_close_matches(name, names, PROJECTS_SHOWN, 0.4) or names
        known = ", ".join(near[:PROJECTS_SHOWN])
        return ImportProblem(
            f"{self.url} has no project {name[:80]!r} that this key may see.",
            f"It sees: {known}." if known else "It sees no project: is it the right workspace?",
        )


def _base(url: str) -> str:
    """Without the path that people copy along. Raises ImportProblem."""
    base = url.strip().rstrip("/")
    for suffix in ("/api/v1", "/api/v2", "/v1", "/v2", "/api"):
        base = base.removesuffix(suffix)
    if not base.startswith(("https://", "http://")) or len(base) > 500:
        raise ImportProblem(f"{url[:80]!r} is no address.", f"Write it like {DEFAULT_URL}.")
    return base


def _window_v2(window: tuple[datetime, datetime]) -> Run:
    return {
        "min_start_time": window[0].astimezone(UTC).isoformat(),
        "max_start_time": window[1].astimezone(UTC).isoformat(),
    }


def _fetched(trace: str, runs: list[Run], root: Run | None) -> Fetched:
    known = {str(run.get("id")) for run in runs}
    is_whole = root is not None and "inputs" in root
    if root is not None and is_whole and str(root.get("id")) not in known:
        runs = [root, *runs]
    if not runs:
        return Fetched(trace, [], f"Its runs are not there. {RETENTION}")
    if len(runs) >= MAX_RUNS:
        return Fetched(trace, [], f"It has {MAX_RUNS:,} runs or more, which are not read.")
    return Fetched(trace, runs)


def _rows(answer: Json) -> list[Run]:
    rows = None
    if isinstance(answer, dict):
        rows = answer.get("runs", answer.get("items"))
    if not isinstance(rows, list):
        unexpected("LangSmith", "a page without runs")
    return [row for row in rows if isinstance(row, dict)]


def _listed(answer: Json, key: str) -> list[dict[str, Any]]:
    rows = answer.get(key) if isinstance(answer, dict) else answer
    if not isinstance(rows, list):
        unexpected("LangSmith", "no list of projects")
    return [row for row in rows if isinstance(row, dict)]


def _position(after: str | None, windows: int) -> tuple[int, str | None]:
    """The window and LangSmith's own cursor in it."""
    if after is None:
        return 0, None
    try:
        number, cursor = json.loads(after)
        return min(max(0, int(number)), windows), None if cursor is None else str(cursor)
    except (ValueError, TypeError):
        return 0, None


def _written(number: int, cursor: str | None) -> str:
    return json.dumps([number, cursor])


def _endless(where: str, found: int) -> ImportProblem:
    return ImportProblem(
        f"{where} gave the same page again and again, after {found:,} runs.",
        "What came is kept. Import again later, or with a shorter range.",
    )
