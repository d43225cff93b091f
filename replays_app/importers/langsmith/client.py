"""Fetching from LangSmith: v2 first, v1 where that is what an installation has.

A project's traces come root by root in pages, and then, for 50 traces at a time, the runs that an
importer reads: one request per run would take hours at the published limits.
"""

from __future__ import annotations

import difflib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from replays_app.engine.hosts import AllowedHosts
from replays_app.importers.http import Session
from replays_app.importers.langsmith.batches import missing, together, trace_of, window_of
from replays_app.importers.langsmith.errors import ImportProblem
from replays_app.importers.langsmith.pacing import Pacer
from replays_app.importers.langsmith.query import Query, Window
from replays_app.importers.langsmith.references import (
    Reference,
    has_host,
    page_of,
    read_reference,
    uuid_of,
)
from replays_app.importers.langsmith.sending import (
    LIMITS,
    RETENTION,
    AnswerTooLarge,
    Caller,
    Endless,
    NotFound,
)
from replays_app.importers.langsmith.server import MAX_PAGES, Run, Server

DEFAULT_URL = "https://api.smith.langchain.com"
TIMEOUT = (5.0, 30.0)  # seconds: to connect, and between two bytes of an answer
TRACES_AT_ONCE = 50  # whose runs are asked for together
PAGE_V1, PAGE_V2 = 100, 1000  # the most that a page may hold
MAX_RUNS = 20_000  # of one trace
PROJECTS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Page:
    """`cursor` continues after this page (Connection.find); None: it was the last. `found` counts
    the roots so far, of this call."""

    roots: list[Run]
    cursor: str | None
    found: int


@dataclass(frozen=True, slots=True)
class Fetched:
    """The runs of one trace, or why it cannot be read."""

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
        self._key = key.strip()
        pacer = Pacer(LIMITS, pause=pause, should_stop=should_stop, clock=clock)
        self._caller = Caller(self.url, pacer)
        self._server = Server(
            self.url,
            self._key,
            workspace.strip(),
            session=Session(hosts, timeout=timeout),
            caller=self._caller,
            pages=(PAGE_V1, PAGE_V2),
        )
        self._projects: dict[str, str] = {}

    @property
    def requests(self) -> int:
        """How many were sent."""
        return self._caller.count

    def test(self) -> str:
        """That the key may read, as a sentence. `/info` would answer without one."""
        if not self._server.projects(limit="1"):
            return f"{self.url} takes the key; it sees no project yet."
        return f"{self.url} takes the key."

    def project(self, name: str) -> str:
        """The id of a project by its name, or by its id."""
        if name not in self._projects:
            rows = self._server.projects(name=name, limit="1")
            rows = [row for row in rows if row.get("name") == name]
            found = str(rows[0].get("id", "")) if rows else uuid_of(name)
            if not found:
                raise self._no_project(name)
            self._projects[name] = found
        return self._projects[name]

    def find(self, query: Query, after: str | None = None) -> Iterator[Page]:
        """Roots, newest first. `after`: the cursor of the last page that was dealt with."""
        project = self.project(query.project)
        windows = query.windows(datetime.now(UTC))
        at, cursor = _position(after, len(windows), self._server.version())
        found, seen = 0, set[str]()
        for number in range(at, len(windows)):
            for _ in range(MAX_PAGES):
                left = None if query.limit is None else query.limit - found
                rows, following = self._server.roots(project, query, windows[number], cursor, left)
                new = [row for row in rows if str(row.get("id")) not in seen]
                seen.update(str(row.get("id")) for row in new)
                new = new if left is None else new[:left]
                found += len(new)
                is_over = query.limit is not None and found >= query.limit
                is_last = not following and number + 1 == len(windows)
                at = number if following else number + 1
                position = json.dumps([at, following, self._server.version()])
                yield Page(new, None if is_last or is_over else position, found)
                if is_over:
                    return
                if following and (following == cursor or not new):
                    raise Endless.after(self.url, found)
                cursor = following
                if not following:
                    break
            else:
                raise Endless.after(self.url, found)

    def traces(self, project: str, roots: Sequence[Run]) -> Iterator[Fetched]:
        """The traces of these roots, each whole as far as it is read, in their order. A server that
        never ends is told of after all of them."""
        endless: Endless | None = None
        for some in together(roots, TRACES_AT_ONCE):
            given = {id: root for root in some if (id := trace_of(root))}
            for root in some:
                if not trace_of(root):
                    yield Fetched("", [], f"A root without an id ({str(root.get('name'))[:80]}).")
            if not given:
                continue
            # v2 lists roots without what they hold.
            with_roots = any("inputs" not in root for root in given.values())
            got = self._runs_of(project, list(given), window_of(some), with_roots=with_roots)
            endless = endless or got.endless
            for trace, root in given.items():
                if trace in got.problems:
                    yield Fetched(trace, [], got.problems[trace])
                else:
                    yield self._fetched(trace, got.runs.pop(trace, []), root)
        if endless is not None:
            raise endless

    def one(self, reference: str) -> Fetched:
        """The trace of one run: its id, the address of its page, or a share link. The run may be
        any of its trace."""
        found = read_reference(reference)
        if found.api and found.api != self.url and not (found.share and not self._key):
            raise ImportProblem(
                f"This address belongs to {found.api}, and the connection is to {self.url}.",
                "Use the endpoint and the key of that cloud.",
            )
        return self._shared(found.share) if found.share else self._of_run(found)

    def _of_run(self, reference: Reference) -> Fetched:
        try:
            run = self._server.run(reference)
        except NotFound as error:
            raise ImportProblem(
                f"{self.url} has no run {reference.run} that this key may see.",
                f"Look at the id and at the workspace of the key. {RETENTION}",
            ) from error
        trace = str(run.get("trace_id") or run.get("id") or reference.run)
        project = str(run.get("session_id") or run.get("project_id") or reference.project)
        got = self._runs_of(project, [trace], window_of([run]), with_roots=True)
        if got.endless is not None:
            raise got.endless
        if trace in got.problems:
            return Fetched(trace, [], got.problems[trace])
        root = run if run.get("id") == trace else None
        return self._fetched(trace, got.runs.get(trace, []), root)

    def _shared(self, token: str) -> Fetched:
        """What everybody who has the link may read."""
        try:
            runs = self._server.shared(token)
        except NotFound as error:
            raise ImportProblem(
                f"{self.url} knows no such share link.",
                "It may have been taken back; share the run again, and paste the new link.",
            ) from error
        trace = str(runs[0].get("trace_id") or "") if runs else token
        for run in runs:
            if run.get("id") == trace and not run.get("app_path"):
                run["app_path"] = f"/public/{token}/r"
        return self._fetched(trace or token, runs, None)

    def _runs_of(
        self, project: str, traces: Sequence[str], window: Window, *, with_roots: bool
    ) -> _Got:
        """Answers that are too long are asked for in halves."""
        got = _Got({trace: [] for trace in traces}, {})
        try:
            for rows in self._server.runs(project, traces, window, with_roots=with_roots):
                for row in rows:
                    runs = got.runs.get(str(row.get("trace_id")))
                    if runs is not None and len(runs) < MAX_RUNS:
                        runs.append(row)
        except Endless as endless:
            got.endless = endless
        except AnswerTooLarge:
            if len(traces) == 1:
                return _Got({}, {traces[0]: "A run of this trace is too long to be read."})
            half = len(traces) // 2
            first = self._runs_of(project, traces[:half], window, with_roots=with_roots)
            second = self._runs_of(project, traces[half:], window, with_roots=with_roots)
            return _Got(
                first.runs | second.runs,
                first.problems | second.problems,
                first.endless or second.endless,
            )
        return got

    def _fetched(self, trace: str, runs: list[Run], root: Run | None) -> Fetched:
        """With the address of the page that shows it; the runs name only its path."""
        fetched = _fetched(trace, runs, root)
        for run in fetched.runs:
            if run.get("id") == trace and (page := page_of(self.url, str(run.get("app_path")))):
                run["app_path"] = page
        return fetched

    def _no_project(self, name: str) -> ImportProblem:
        rows = self._server.projects(limit="100")
        names = [str(row.get("name")) for row in rows if row.get("name")]
        near = difflib.get_close_matches(name, names, PROJECTS_SHOWN, 0.4) or names
        known = ", ".join(near[:PROJECTS_SHOWN])
        return ImportProblem(
            f"{self.url} has no project {name[:80]!r} that this key may see.",
            f"It sees: {known}." if known else "It sees no project: is it the right workspace?",
        )


@dataclass(slots=True)
class _Got:
    """By trace: its runs, and why there are none."""

    runs: dict[str, list[Run]]
    problems: dict[str, str]
    endless: Endless | None = None


def _base(url: str) -> str:
    """Without the path that people copy along. Raises ImportProblem."""
    base = url.strip().rstrip("/")
    for suffix in ("/api/v1", "/api/v2", "/v1", "/v2", "/api"):
        base = base.removesuffix(suffix)
    if not base.startswith(("https://", "http://")) or len(base) > 500 or not has_host(base):
        raise ImportProblem(f"{url[:80]!r} is no address.", f"Write it like {DEFAULT_URL}.")
    return base


def _fetched(trace: str, runs: list[Run], root: Run | None) -> Fetched:
    known = {str(run.get("id")) for run in runs}
    is_whole = root is not None and "inputs" in root
    if root is not None and is_whole and str(root.get("id")) not in known:
        runs = [root, *runs]
    if not runs:
        return Fetched(trace, [], f"Its runs are not there. {RETENTION}")
    if len(runs) >= MAX_RUNS:
        return Fetched(trace, [], f"It has {MAX_RUNS:,} runs or more, which are not read.")
    return Fetched(trace, runs, missing(trace, runs))


def _position(after: str | None, windows: int, version: str) -> tuple[int, str | None]:
    """The window and LangSmith's own cursor in it; what the other API gave begins the window
    anew."""
    if after is None:
        return 0, None
    try:
        number, cursor, of = json.loads(after)
        is_ours = isinstance(cursor, str) and of == version
        return min(max(0, int(number)), windows), cursor if is_ours else None
    except (ValueError, TypeError):
        return 0, None
