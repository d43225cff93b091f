"""Which of its two APIs a LangSmith has, and each question in the words of either.

v2 where `/info` says so, else v1; the other one where the first answers that it has no such thing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

from replays_app.engine.values import Json
from replays_app.importers.http import Session
from replays_app.importers.langsmith.api import INFO, V1, V2, Api
from replays_app.importers.langsmith.api import Query as Asked
from replays_app.importers.langsmith.query import Query, Window, chunks, runs_filter
from replays_app.importers.langsmith.references import Reference
from replays_app.importers.langsmith.sending import (
    RETENTION,
    AnswerTooLarge,
    Caller,
    Endless,
    NotFound,
    NotSupported,
    Refused,
    unexpected,
)

Run = dict[str, Json]
Version = Literal["v1", "v2"]
T = TypeVar("T")

MAX_PAGES = 2_000  # of one question
PROJECTS_AT_ONCE = 50  # in which v2 looks for a run

# What is read of a run. Without `select` attachments would be downloaded too.
FIELDS = (
    *("id", "name", "run_type", "start_time", "end_time", "status", "error", "inputs", "outputs"),
    *("extra", "tags", "parent_run_ids", "trace_id", "dotted_order", "feedback_stats", "app_path"),
)
FIELDS_V1 = (*FIELDS, "parent_run_id", "session_id")
FIELDS_V2 = tuple(name.upper() for name in (*FIELDS, "project_id"))
LIGHT_V2 = ("ID", "NAME", "TRACE_ID", "PROJECT_ID", "STATUS", "START_TIME")  # of a root in a list
FOUND_V2 = ("ID", "TRACE_ID", "PROJECT_ID", "START_TIME", "DOTTED_ORDER")  # of a run by its id
# What v2 lists of a shared trace, and asks for singly.
SHARED_V2 = tuple(f for f in FIELDS_V2 if f not in ("INPUTS", "OUTPUTS", "APP_PATH"))
ASKED_KINDS = ("tool", "retriever", "llm")


class Server:
    """`pages`: the most runs of a page, by v1 and v2. Raises ImportProblem and Stopped."""

    def __init__(
        self,
        url: str,
        key: str,
        workspace: str,
        *,
        session: Session,
        caller: Caller,
        pages: tuple[int, int],
    ) -> None:
        self.url = url
        self._access = (url, key, workspace, session)
        self._caller = caller
        self._sizes: dict[Version, int] = {"v1": pages[0], "v2": pages[1]}
        self._apis: dict[Version, Api] = {}
        self._order: list[Version] = []  # the APIs that may be asked, the preferred one first

    # --- Questions -------------------------------------------------------------------------------

    def version(self) -> Version:
        """The API that is asked."""
        if not self._order:
            try:
                answer = self._send("v2", "GET", INFO)
            except (NotFound, NotSupported):
                answer = None
            flags = answer.get("instance_flags") if isinstance(answer, dict) else None
            self._order = _order_of(flags if isinstance(flags, dict) else {})
        return self._order[0]

    def projects(self, **query: str) -> list[Run]:
        def ask(version: Version) -> list[Run]:
            return _listed(self._send(version, "GET", "/sessions", query=query))

        return self._either(ask)

    def roots(
        self, project: str, query: Query, window: Window, cursor: str | None, left: int | None
    ) -> tuple[list[Run], str | None]:
        """One page, and the cursor of the next. A cursor belongs to the API that gave it."""

        def ask(version: Version) -> tuple[list[Run], str | None]:
            body: Run = {"is_root": True} | _within(version, project, window)
            expression = query.expression(window, with_until=version == "v1")
            body |= {"filter": expression} if expression else {}
            fields = FIELDS_V1 if version == "v1" else LIGHT_V2
            size = min(self._sizes[version], left or self._sizes[version])
            return self._page(version, body, fields, cursor, size)

        return self._either(ask, fixed=cursor is not None)

    def runs(
        self, project: str, traces: Sequence[str], window: Window, *, with_roots: bool = True
    ) -> Iterator[list[Run]]:
        """Page by page, each run once: the roots of these traces, and what their tools and models
        did. Raises AnswerTooLarge, of several traces, and Endless."""
        seen: set[str] = set()
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            rows, following = self._runs(project, traces, window, cursor, with_roots=with_roots)
            new = [row for row in rows if str(row.get("id")) not in seen]
            seen.update(str(row.get("id")) for row in new)
            yield new
            if not following:
                return
            if following == cursor or not new:
                break
            cursor = following
        raise Endless.after(self.url, len(seen))

    def _runs(
        self,
        project: str,
        traces: Sequence[str],
        window: Window,
        cursor: str | None,
        *,
        with_roots: bool,
    ) -> tuple[list[Run], str | None]:
        def ask(version: Version) -> tuple[list[Run], str | None]:
            body = _within(version, project, window)
            body["filter"] = runs_filter(traces, ASKED_KINDS, with_roots=with_roots)
            fields = FIELDS_V1 if version == "v1" else FIELDS_V2
            size = self._sizes[version]
            return self._page(version, body, fields, cursor, size, shrinks=len(traces) == 1)

        return self._either(ask, fixed=cursor is not None)

    def run(self, reference: Reference) -> Run:
        """At least its ids and when it began. Raises NotFound."""
        self.version()
        if reference.project:
            query: Asked = {"project_id": reference.project, "selects": list(FOUND_V2)}
            return self._either(lambda version: self._one(version, reference.run, query))
        if "v1" in self._order:  # v2 finds a run only inside a project, which an id does not name
            try:
                return self._one("v1", reference.run, {})
            except (NotFound, NotSupported):
                if "v2" not in self._order:
                    raise
        return self._run_of_any_project(reference.run)

    def _one(self, version: Version, run: str, query: Asked) -> Run:
        path = f"/runs/{run}"
        if version == "v1":
            return _mapping(self._v1("GET", path, kind="v1 run"))
        return _mapping(self._v2("GET", path, query=query))

    def _run_of_any_project(self, run: str) -> Run:
        window = Query(project="").windows(datetime.now(UTC))[0]
        projects = [str(row["id"]) for row in self.projects(limit="100") if row.get("id")]
        for some in chunks(projects, PROJECTS_AT_ONCE):
            body = _within("v2", "", window) | {"project_ids": list(some), "ids": [run]}
            rows, _ = self._page("v2", body, FOUND_V2, None, 1)
            if rows:
                return rows[0]
        raise NotFound(f"{self.url} does not have it.", RETENTION)

    def shared(self, token: str) -> list[Run]:
        """The runs of a public trace. Raises NotFound."""
        path = f"/public/{token}/runs/query"
        self.version()
        if "v1" in self._order:  # gives whole runs at once
            try:
                return _rows(self._v1("POST", path, kind="v1 query", body={}))
            except (NotFound, NotSupported):
                if "v2" not in self._order:
                    raise
        try:
            rows = _rows(self._v2("POST", path, body={"selects": list(FIELDS_V2)}))
        except Refused:  # a list of public runs has no inputs and outputs
            rows = _rows(self._v2("POST", path, body={"selects": list(SHARED_V2)}))
        return [self._whole(token, row) for row in rows]

    def _whole(self, token: str, row: Run) -> Run:
        is_read = row.get("is_root") or row.get("id") == row.get("trace_id")
        is_read = is_read or str(row.get("run_type")).lower() in ASKED_KINDS
        if not is_read or "inputs" in row:
            return row
        query: Asked = {
            "selects": ["ID", "INPUTS", "OUTPUTS"],
            "start_time": str(row.get("start_time")),
        }
        return row | _mapping(self._v2("GET", f"/public/{token}/run/{row['id']}", query=query))

    # --- Requests --------------------------------------------------------------------------------

    def _either(self, ask: Callable[[Version], T], *, fixed: bool = False) -> T:
        """By the preferred API, or by the other one where that has no such thing, which is then
        preferred. `fixed`: the question goes on with what the preferred one answered."""
        version = self.version()
        try:
            return ask(version)
        except (NotFound, NotSupported):
            if fixed or len(self._order) == 1:
                raise
            other = self._order[1]
            try:
                found = ask(other)
            except (NotFound, NotSupported):
                found = None
            if found is None:
                raise
        self._order = [other]
        return found

    def _page(
        self,
        version: Version,
        body: Run,
        fields: Sequence[str],
        cursor: str | None,
        size: int,
        *,
        shrinks: bool = True,
    ) -> tuple[list[Run], str | None]:
        """`shrinks`: an answer that is too long is asked for again as a smaller page."""
        names = ("select", "limit") if version == "v1" else ("selects", "page_size")
        body = body | {names[0]: list(fields)} | ({"cursor": cursor} if cursor else {})
        kind = "v1 query" if version == "v1" else "v2"
        while True:
            asked = body | {names[1]: size}
            try:
                answer = self._send(version, "POST", "/runs/query", kind=kind, body=asked)
            except AnswerTooLarge:
                if not shrinks or size == 1:
                    raise
                size = max(1, size // 4)
                continue
            return _rows(answer), _following(answer)

    def _v1(self, method: str, path: str, *, kind: str = "", body: Json = None) -> Json:
        return self._send("v1", method, path, kind=kind, body=body)

    def _v2(self, method: str, path: str, *, query: Asked | None = None, body: Json = None) -> Json:
        return self._send("v2", method, path, kind="v2", query=query, body=body)

    def _send(
        self,
        version: Version,
        method: str,
        path: str,
        *,
        kind: str = "",
        query: Asked | None = None,
        body: Json = None,
    ) -> Json:
        if version not in self._apis:
            self._apis[version] = (V1 if version == "v1" else V2)(*self._access)
        return self._caller.call(
            self._apis[version], method, path, kind=kind, query=query, body=body
        )


def _order_of(flags: dict[str, Json]) -> list[Version]:
    """As the SDK reads them: who says nothing is older than v2. Who says nothing at all may still
    have it."""
    has_v1 = flags.get("ch_query_enabled", True)
    has_v2 = flags.get("sdb_query_enabled", False)
    if has_v2:
        return ["v2", "v1"] if has_v1 else ["v2"]
    says = "ch_query_enabled" in flags or "sdb_query_enabled" in flags
    return ["v1"] if says else ["v1", "v2"]


def _within(version: Version, project: str, window: Window) -> Run:
    since, until = (moment.astimezone(UTC).isoformat() for moment in window)
    if version == "v1":  # whose `end_time` is another matter: query.expression() bounds it
        return {"session": [project], "start_time": since}
    return {"project_ids": [project], "min_start_time": since, "max_start_time": until}


def _following(answer: Json) -> str | None:
    cursors = answer.get("cursors") if isinstance(answer, dict) else None
    found = cursors.get("next") if isinstance(cursors, dict) else None
    if found is None and isinstance(answer, dict):
        found = answer.get("next_cursor")
    return str(found) if found else None


def _rows(answer: Json) -> list[Run]:
    rows = answer.get("runs", answer.get("items")) if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        unexpected("LangSmith", "a page without runs")
    return [row for row in rows if isinstance(row, dict)]


def _listed(answer: Json) -> list[dict[str, Any]]:
    rows = answer.get("items") if isinstance(answer, dict) else answer
    if not isinstance(rows, list):
        unexpected("LangSmith", "no list of projects")
    return [row for row in rows if isinstance(row, dict)]


def _mapping(answer: Json) -> Run:
    if not isinstance(answer, dict):
        unexpected("LangSmith", "a run is no mapping")
    return answer
