"""`flakestorm agent check`: one question, and what can be said of the way to the agent's tools."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from replays_app.cli.boards import board_here
from replays_app.cli.inputs import read_configuration
from replays_app.cli.main import INTERRUPTED, UNUSABLE
from replays_app.cli.screen import Screen
from replays_app.cli.text import one_line, plural, shown
from replays_app.engine import divergence
from replays_app.engine.agents.checkup import TOLD_HERE, Checkup, Request, checkup
from replays_app.engine.agents.explain import Seen
from replays_app.engine.agents.probe import probe
from replays_app.engine.formats.agent import AgentConfig
from replays_app.engine.formats.config import Config
from replays_app.engine.formats.directory import config_sessions, find_sessions
from replays_app.engine.formats.errors import FormatError, Problem
from replays_app.engine.formats.session import Session
from replays_app.engine.formats.session_file import Located
from replays_app.engine.values import Evidence

SCHEMA = 1
FOUND = 1  # something to change
PROMPT = "Hello. This is a check of your tools; please use those that you need for a short answer."
ROWS = 12  # of recorded against actual calls
_MARKS = {True: ("ok", "green"), False: ("no", "red"), None: ("-", "dim")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The command's options, under their own names."""

    config: Path
    prompt: str | None = None
    session: Path | None = None
    as_json: bool = False
    no_color: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    session: Session
    source: str  # in words: where the question comes from


def check_agent(options: Options) -> int:
    """The exit code: 0 nothing to change, 1 something is, 2 the agent could not be asked."""
    screen = Screen(no_color=options.no_color)
    try:
        config = read_configuration(options.config)
        asked = _asked(options, config)
    except FormatError as error:
        for problem in error.problems:
            screen.error(one_line(str(problem), 2_000))
        return UNUSABLE
    agent = config.agent
    if not options.as_json:
        for line in _begin(agent, asked):
            screen.line(line)
    evidence: list[Evidence] = []
    steps: list[Seen] = []

    def see(step: Seen) -> None:
        steps.append(step)
        if not options.as_json and step.step not in TOLD_HERE:
            for line in _step(step, screen):
                screen.line(line)

    try:
        asyncio.run(_look(agent, asked.session, see, evidence.append))
    except KeyboardInterrupt:
        screen.error("interrupted; the agent has ended if this check started it")
        return INTERRUPTED
    left = evidence[0] if evidence else None
    found = checkup(agent, asked.session, steps, left)
    code = UNUSABLE if not found.tried else FOUND if found.findings else 0
    if options.as_json:
        screen.line(_json(agent, asked, found, left, code))
    else:
        for line in _lines(found, asked.session, left, screen):
            screen.line(line)
    return code


async def _look(
    agent: AgentConfig,
    session: Session,
    see: Callable[[Seen], None],
    told: Callable[[Evidence], None],
) -> None:
    with board_here(agent) as board:
        seen_so_far = probe(agent, "", session=session, told=told, environ=os.environ, board=board)
        async with aclosing(seen_so_far):
            async for seen in seen_so_far:
                see(seen)


def _asked(options: Options, config: Config) -> Asked:
    """What is asked: the session's question, else the one of the first replay that the
    configuration names, else a plain one; --input asks something else with the same recording.

    Raises FormatError."""
    if options.session is not None:
        asked = _of_file(options.session, config)
    elif options.prompt is not None:
        asked = Asked(_plain(options.prompt), "--input")
    else:
        asked = _of_config(config)
    if options.prompt is None or options.session is None:
        return asked
    session = asked.session.model_copy(update={"input": options.prompt})
    return Asked(session, f"--input, with the answers of {options.session}")


def _plain(prompt: str) -> Session:
    return Session(id="agent-check", input=prompt, contract="none")


def _of_file(path: Path, config: Config) -> Asked:
    found = find_sessions(path, config)
    for error in found.broken:
        raise error
    if not found.sessions:
        why = found.skipped[0][1] if found.skipped else "holds no session"
        raise FormatError([Problem(f"{why}; name a replay file", source=str(path))])
    return _of(found.sessions[0])


def _of_config(config: Config) -> Asked:
    """A broken replay is no reason not to check the agent: the next one is taken."""
    for located in config_sessions(config).sessions:
        return _of(located)
    return Asked(_plain(PROMPT), "a plain question; name a better one with --input or --session")


def _of(located: Located) -> Asked:
    return Asked(located.session, f"{located.session.id} ({located})")


def _begin(agent: AgentConfig, asked: Asked) -> Iterator[str]:
    yield f"agent: {one_line(_reached(agent))}"
    yield f"asked: {one_line(_question(asked.session), 200)}"
    yield f"       from {one_line(asked.source, 300)}"
    yield ""


def _question(session: Session) -> str:
    if isinstance(session.input, str):
        return session.input
    return str(session.input[-1].get("content", ""))


def _reached(agent: AgentConfig) -> str:
    """Where it is, without what may be a key."""
    if "://" not in agent.endpoint:
        return f"{agent.endpoint} ({agent.type})"
    parts = urlsplit(agent.endpoint)
    url = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    return f"{url}, started for the check" if agent.start else f"{url}, already running"


def _step(step: Seen, screen: Screen) -> Iterator[str]:
    word, colour = _MARKS[step.ok]
    said = shown(step.saw, 2_000).replace("\n", f"\n{' ' * 20}")
    yield f"{screen.paint(f'{word:<4}', colour)}{one_line(step.step):<16}{said}"
    if step.remedy and step.ok is None:
        yield f"{' ' * 20}{screen.paint(one_line(step.remedy, 1_000), 'dim')}"


def _lines(
    found: Checkup, session: Session, evidence: Evidence | None, screen: Screen
) -> Iterator[str]:
    if found.tools:
        yield ""
        yield "tools"
        widest = min(30, max(len(tool.tool) for tool in found.tools))
        for tool in found.tools:
            word, colour = _MARKS[True if tool.calls else None]
            name = one_line(tool.tool, 100)
            yield f"{screen.paint(f'{word:<4}', colour)}{name:<{widest}}  {tool.words}"
    if found.model:
        yield ""
        yield "model"
        yield f"    {one_line(found.model, 300)}"
    yield from _requests("let through (passthrough)", found.live)
    yield from _requests("blocked", found.blocked)
    if evidence is not None and session.tool_responses:
        told = divergence.lines(evidence, session.tool_responses, most=ROWS)
        if told:
            yield ""
            yield "recorded and actual calls"
            yield from (f"    {one_line(line, 500)}" for line in told)
    for note in found.notes:
        yield ""
        yield screen.paint(one_line(note, 1_000), "dim")
    yield from _findings(found, screen)


def _requests(title: str, requests: tuple[Request, ...]) -> Iterator[str]:
    if not requests:
        return
    yield ""
    yield title
    for one in requests:
        words = [f"{one.times} times"] if one.times > 1 else []
        words += ["past the proxy, and stopped"] if one.past and title == "blocked" else []
        words += ["expected"] if one.expected and title == "blocked" else []
        more = f" ({', '.join(words)})" if words else ""
        yield f"    {one_line(one.request, 300)}{more}"


def _findings(found: Checkup, screen: Screen) -> Iterator[str]:
    yield ""
    if not found.findings:
        yield screen.paint("nothing to change", "green")
        return
    if found.tried:
        yield screen.paint(f"{plural(len(found.findings), 'thing')} to change", "yellow", "bold")
    else:
        yield screen.paint("the agent could not be asked", "red", "bold")
    for number, finding in enumerate(found.findings, 1):
        yield f"{number}. {one_line(finding.saw, 1_000)}"
        if finding.remedy:
            yield f"   {one_line(finding.remedy, 1_000)}"
        yield from (f"       {shown(line, 500)}" for line in finding.yaml.splitlines())


def _json(
    agent: AgentConfig, asked: Asked, found: Checkup, evidence: Evidence | None, code: int
) -> str:
    value: dict[str, Any] = {
        "schema": SCHEMA,
        "exit_code": code,
        "agent": {"reached": _reached(agent), "version": agent.version},
        "asked": {"session": asked.session.id, "from": asked.source},
        **found.to_json(),
        "report": evidence.to_json()["report"] if evidence else None,
    }
    text = json.dumps(value, ensure_ascii=False, indent=2, default=str)
    return text.encode("utf-8", "backslashreplace").decode()
