"""`flakestorm replay run`: read everything, refuse early, replay, say what was seen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit, urlunsplit

from replays_app.cli import reports
from replays_app.cli.boards import board_here
from replays_app.cli.inputs import Imports, Inputs, gather
from replays_app.cli.main import INTERRUPTED, UNUSABLE
from replays_app.cli.printing import session_block
from replays_app.cli.results import Attempt, Case, ReplaySummary, SessionResult, Totals, in_words
from replays_app.cli.screen import Screen
from replays_app.cli.text import one_line, plural
from replays_app.engine.agents.reach import refusal
from replays_app.engine.formats.config import AgentConfig, Config
from replays_app.engine.formats.errors import FormatError
from replays_app.engine.formats.llm import LlmConfig, is_played_back
from replays_app.engine.replay import Job, Replayer, replay_all
from replays_app.engine.values import Evidence, Judgement, Outcome
from replays_app.engine.verdict import PRESETS, exit_code, score_in_order

if TYPE_CHECKING:
    from replays_app.cli.saving import Store

UNDECIDED = 3
NOBODY_READS = 141  # as a shell reports a program that SIGPIPE ended
_TICK_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The command's options, under their own names."""

    paths: tuple[Path, ...] = ()
    config: Path
    outputs: tuple[str, ...] = ()
    attempts: int = 1
    concurrency: int | None = None
    agent_version: str | None = None
    live_tools: bool = False
    model_answers: Literal["live", "recorded"] | None = None
    lenient: bool = False
    strict: bool = False
    save: bool = False
    project: str = "default"
    quiet: bool = False
    no_color: bool = False
    from_langsmith: str | None = None
    from_langsmith_project: str | None = None
    filter_status: str = "error"
    date_range: str | None = None
    min_latency_ms: float | None = None
    limit: int | None = None
    more_filter: str = ""
    redact: bool = False
    run: bool = False

    @property
    def imports(self) -> bool:
        return self.from_langsmith is not None or self.from_langsmith_project is not None


class Unusable(Exception):
    """The replay cannot begin: what was seen and what would do, a line each."""


def replay_sessions(options: Options) -> int:
    """The command's exit code. Whatever stops it before the first request is said, and is 2."""
    screen = Screen(quiet=options.quiet, no_color=options.no_color)
    try:
        _refuse_strays(options)
        if options.imports:
            return _import(options, screen)
        return _replay(options, screen)
    except (FormatError, reports.CannotWrite, Unusable) as error:
        for line in str(error).splitlines():
            screen.error(one_line(line, 2_000))
        return UNUSABLE


def _import(options: Options, screen: Screen) -> int:
    """Imports from LangSmith; with --run, replays what came."""
    from replays_app.cli import importing

    if options.paths:
        raise Unusable("name files, or what to import from LangSmith, not both")
    files, more = importing.split_outputs(options.outputs)
    wanted = importing.Wanted(
        run=options.from_langsmith,
        project=options.from_langsmith_project,
        status=options.filter_status,
        when=options.date_range,
        min_latency_ms=options.min_latency_ms,
        limit=options.limit,
        more=options.more_filter,
        redact=options.redact,
    )
    if wanted.run is not None and wanted.project is not None:
        raise Unusable("--from-langsmith and --from-langsmith-project: name one of the two")
    if wanted.project is not None and not files and not options.run:
        raise Unusable("-o is missing: name the directory for the replay files, or add --run")
    contract = _contract_of(options.config)
    if not contract and not options.run:
        screen.note(
            f"{options.config} names no contract: the files name default, the one contract of the "
            "configuration that replays them"
        )
    try:
        outcome = importing.import_traces(
            wanted,
            files,
            screen,
            contract=contract,
            keeps=options.run,
        )
    except importing.Unusable as error:
        raise Unusable(str(error)) from error
    if options.run:
        imported = Imports(outcome.sessions, [], outcome.broken)
        return _replay(replace(options, outputs=tuple(more)), screen, imported)
    for broken in outcome.broken:
        screen.error(one_line(str(broken), 2_000))
    counted = ", ".join(f"{n} {status}" for status, n in sorted(outcome.counts.items()))
    screen.note(counted or "nothing imported")
    return UNUSABLE if outcome.broken else 0


def _refuse_strays(options: Options) -> None:
    """Raises Unusable for what would have no effect."""
    of_project = {
        "--date-range": options.date_range,
        "--min-latency-ms": options.min_latency_ms,
        "--filter": options.more_filter,
    }
    for name, value in of_project.items():
        if value and options.from_langsmith_project is None:
            raise Unusable(f"{name} belongs to --from-langsmith-project")
    if options.redact and not options.imports:
        raise Unusable("--redact belongs to --from-langsmith and --from-langsmith-project")


def _contract_of(config: Path) -> str:
    """The name of the configuration's one contract; empty where there is none, or no telling."""
    from replays_app.engine.formats.session_file import load_file

    try:
        documents = load_file(config)
    except FormatError:
        return ""
    value = documents[0].value if documents else None
    contract = value.get("contract") if isinstance(value, dict) else None
    name = contract.get("name") if isinstance(contract, dict) else None
    return name if isinstance(name, str) else ""


def _replay(options: Options, screen: Screen, imported: Imports | None = None) -> int:
    destinations = reports.destinations(options.outputs)
    inputs = gather(options.paths, options.config, lenient=options.lenient, imported=imported)
    agent = _agent(inputs.config, options)
    for note in inputs.notes:
        screen.note(one_line(note, 2_000))
    for broken in inputs.broken:
        screen.error(one_line(str(broken), 2_000))
    if not inputs.cases and not inputs.broken:
        raise Unusable(inputs.nothing_found)
    _refuse(inputs.cases, agent, options)
    reports.prepare(destinations)
    store = _store(options, agent)
    if store:
        inputs = _as_kept(inputs, store, screen)
    replay = Replay(inputs, agent, options, screen, keep=bool(destinations or store))
    stopped_with = replay.run()
    code = replay.exit_code(stopped_with)
    screen.line(replay.headline)
    undelivered = _deliver(replay, destinations, store, code, screen)
    for problem in undelivered:
        screen.error(one_line(problem, 2_000))
    # A result that could not be kept changes no finding about the agent.
    return UNUSABLE if undelivered and code in (0, UNDECIDED) else code


def _as_kept(inputs: Inputs, store: Store, screen: Screen) -> Inputs:
    """What is replayed for a project is what the project stores."""
    from replays_app.cli.saving import CannotSave

    try:
        cases, said = store.redacted(inputs.cases)
    except CannotSave as error:
        raise Unusable(str(error)) from error
    if said:
        screen.note(said)
    return replace(inputs, cases=cases)


def _deliver(
    replay: Replay,
    destinations: Sequence[reports.Destination],
    store: Store | None,
    code: int,
    screen: Screen,
) -> list[str]:
    """Writes the reports and saves; what could not be, a line each."""
    problems: list[str] = []
    if destinations:
        try:
            reports.write(destinations, replay.summary(code))
            screen.note(f"written: {', '.join(str(d.path) for d in destinations)}")
        except reports.CannotWrite as error:
            problems.append(str(error))
    if store:
        screen.note(store.save(replay.results))
        problems += store.problems
    return problems


def _agent(config: Config, options: Options) -> AgentConfig:
    """The configured agent as the command line has it; the command line wins."""
    agent = config.agent
    update: dict[str, Any] = {
        "version": options.agent_version or agent.version,
        "concurrency": options.concurrency or agent.concurrency or config.advanced.concurrency,
    }
    if options.model_answers and (agent.llm is not None or options.model_answers == "recorded"):
        llm = agent.llm or LlmConfig()
        update["llm"] = llm.model_copy(update={"answers": options.model_answers})
    return agent.model_copy(update=update)


def _refuse(cases: Sequence[Case], agent: AgentConfig, options: Options) -> None:
    """Raises Unusable when a session cannot be put to this agent; nothing was sent yet."""
    reasons: dict[str, list[str]] = {}
    for case in cases:
        reason = refusal(agent, case.session, live_tools=options.live_tools)
        if reason:
            reasons.setdefault(reason, []).append(case.session.id)
    if reasons:
        raise Unusable(
            "\n".join(
                f"{options.config}: {plural(len(ids), 'session')} cannot be replayed "
                f"({', '.join(ids[:3])}{', …' if len(ids) > 3 else ''}): {reason}"
                for reason, ids in reasons.items()
            )
        )


def _store(options: Options, agent: AgentConfig) -> Store | None:
    """Opened before the replay, so that a bad setting costs no replay. Django is imported here."""
    if not options.save:
        return None
    if is_played_back(agent.llm):
        raise Unusable(
            "--save: the model's answers are recorded ones, so that attempts are alike and would "
            "count as many; leave --save out, or give --model-answers live"
        )
    from replays_app.cli.saving import CannotSave, Store

    try:
        return Store(options.project, agent.version, live_tools=options.live_tools)
    except CannotSave as error:
        raise Unusable(str(error)) from error


class Replay:
    """One replay under way: counts, prints in the order of the files, keeps what reports need."""

    def __init__(
        self, inputs: Inputs, agent: AgentConfig, options: Options, screen: Screen, *, keep: bool
    ) -> None:
        self.inputs = inputs
        self.options = options
        self._agent = agent
        self._screen = screen
        self._keep = keep
        self.totals = Totals(planned=len(inputs.cases), broken=len(inputs.broken_files))
        self._kept: dict[int, SessionResult] = {}
        self._open = {
            index: SessionResult(case=case, planned=options.attempts)
            for index, case in enumerate(inputs.cases)
        }
        self._ended: dict[int, str] = {}  # blocks that wait for an earlier session
        self._next = 0
        self._undecided = False
        self._started_at = datetime.now(UTC).isoformat(timespec="seconds")
        self._clock = time.monotonic()
        self._seconds = 0.0

    def run(self) -> int:
        """0, or the exit code of what stopped it before its end. Its agents have ended by then."""
        stopped_with = 0
        if self._open:
            try:
                asyncio.run(self._attempts())
            except KeyboardInterrupt:
                stopped_with = INTERRUPTED
            except asyncio.CancelledError:
                stopped_with = NOBODY_READS
        self._seconds = time.monotonic() - self._clock
        self._close(self._open)
        self._screen.close()
        return stopped_with

    async def _attempts(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._screen.on_gone = task.cancel
        jobs = (
            Job(session=result.case.session, contract=result.case.contract, number=n, tag=index)
            for index, result in list(self._open.items())
            for n in range(1, self.options.attempts + 1)
        )
        wanted = len(self._open) * self.options.attempts
        live = asyncio.create_task(self._tick()) if self._screen.live else None
        try:
            async with AsyncExitStack() as stack:
                replayer = await stack.enter_async_context(
                    Replayer(
                        self._agent,
                        live_tools=self.options.live_tools,
                        wanted=wanted,
                        board=stack.enter_context(board_here(self._agent)),
                    )
                )
                await replay_all(
                    jobs, replayer=replayer, concurrency=replayer.at_once, on_result=self._add
                )
        finally:
            if live:
                live.cancel()

    async def _tick(self) -> None:
        while True:
            self._screen.progress(
                self.totals.attempts.total(),
                self.totals.planned * self.options.attempts,
                "attempt",
                in_words(self.totals.attempts),
                time.monotonic() - self._clock,
            )
            await asyncio.sleep(_TICK_S)

    async def _add(self, job: Job, evidence: Evidence, judgement: Judgement) -> None:
        result = self._open[job.tag]
        result.attempts.append(Attempt(number=job.number, evidence=evidence, judgement=judgement))
        self.totals.attempts[judgement.outcome] += 1
        if result.done:
            self._close([job.tag])

    def _close(self, indexes: Iterable[int]) -> None:
        """Prints what is next in the order of the files, and lets go of what nothing needs."""
        for index in list(indexes):
            result = self._open.pop(index)
            self._ended[index] = self._block_of(result)
            if self._keep and result.attempts:
                self._kept[index] = result
        while self._next in self._ended:
            block = self._ended.pop(self._next)
            self._next += 1
            if block:
                self._screen.line(block)

    def _block_of(self, result: SessionResult) -> str:
        """Counts an ended session; empty when nothing is to be printed of it."""
        if not result.attempts:
            return ""
        result.attempts.sort(key=lambda attempt: attempt.number)
        self.totals.add(result)
        score = score_in_order(PRESETS["default"], (a.outcome for a in result.attempts))
        self._undecided |= score.end != "passing"
        if self.options.quiet and result.outcome is Outcome.PASSED:
            return ""
        return session_block(result, self._screen)

    def exit_code(self, stopped_with: int) -> int:
        return stopped_with or exit_code(
            self.totals.sessions.elements(),
            broken=bool(self.inputs.broken),
            inconclusive=self._undecided,
            strict=self.options.strict,
        )

    @property
    def results(self) -> tuple[SessionResult, ...]:
        """In the order of the files; empty when nothing asked to keep them."""
        return tuple(self._kept[index] for index in sorted(self._kept))

    @property
    def headline(self) -> str:
        return self.totals.summary(self._seconds)

    def summary(self, code: int) -> ReplaySummary:
        agent = self._agent
        return ReplaySummary(
            config=str(self.options.config),
            agent=_without_secrets(agent.endpoint),
            agent_version=agent.version,
            started_at=self._started_at,
            seconds=self._seconds,
            interrupted=code in (INTERRUPTED, NOBODY_READS),
            exit_code=code,
            totals=self.totals,
            results=self.results,
            broken=tuple(self.inputs.broken),
            notes=tuple(self.inputs.notes),
        )


def _without_secrets(url: str) -> str:
    """The endpoint may hold a key in its query or before the host."""
    if "://" not in url:  # module:function
        return url
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
