"""The words of the command line. What a command does is imported when it is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from replays_app.cli import VERSION

CONFIG = "flakestorm.yaml"

# What users of flakestorm type and this version does not have: the name, and what does instead.
COMMANDS_NOT_YET = {
    "init": "write flakestorm.yaml by hand; docs/formats.md begins with a small one",
    "run": "mutations are not part of this version; to replay incidents: flakestorm replay run",
    "ci": "for a gate in CI use the exit code of: flakestorm replay run --strict",
    "contract run": "to check a contract file: flakestorm contract validate",
    "contract score": "to check a contract file: flakestorm contract validate",
}


def not_yet(name: str, instead: str) -> click.UsageError:
    return click.UsageError(f"{name} is not available in this version: {instead}.")


class Words(click.Group):
    """A group that says of flakestorm's other commands that they are not here yet."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = " ".join([*ctx.command_path.split()[1:], args[0]])
        if name in COMMANDS_NOT_YET:
            raise not_yet(f"flakestorm {name}", COMMANDS_NOT_YET[name])
        return super().resolve_command(ctx, args)


_PATH = click.Path(path_type=Path)


@click.group(cls=Words, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="flakestorm", message="%(prog)s %(version)s")
def cli() -> None:
    """Replay recorded incidents of an AI agent, and find out whether they are fixed."""


@cli.group(cls=Words)
def replay() -> None:
    """Replay recorded sessions against an agent."""


@replay.command("run")
@click.argument("paths", metavar="[FILE_OR_DIR]...", nargs=-1, type=_PATH)
@click.option(
    "-c",
    "--config",
    type=_PATH,
    default=CONFIG,
    show_default=True,
    help="Agent, contract and, when no path is given, the sessions.",
)
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    metavar="PATH",
    help="Write a report: .html, .json or .xml (JUnit); a directory/ for all three. With "
    "--from-langsmith: where the replay files go, .yaml, .json or a directory.",
)
@click.option(
    "--attempts",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    help="How often each session is replayed.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 1000),
    help="Attempts in flight at once.  [default: what the agent's configuration says]",
)
@click.option("--agent-version", metavar="LABEL", help="What the agent under test is called.")
@click.option(
    "--live-tools", is_flag=True, help="Inject nothing: the agent reaches its real tools."
)
@click.option(
    "--model-answers",
    type=click.Choice(["live", "recorded"]),
    help="recorded: the sessions' own (model_responses), at no cost and offline.  [default: what "
    "the agent's configuration says, else live]",
)
@click.option("--lenient", is_flag=True, help="Unknown fields are warnings instead of errors.")
@click.option(
    "--strict", is_flag=True, help="Exit with 3 when a verdict stays open (see docs/cli.md)."
)
@click.option("--save", is_flag=True, help="Save incidents and results in the dashboard.")
@click.option(
    "--project",
    metavar="NAME",
    default="default",
    show_default=True,
    help="With --save: the dashboard's project.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print only problems and the summary.")
@click.option("--no-color", is_flag=True, help="No colour (NO_COLOR=1 does the same).")
@click.option(
    "--from-langsmith",
    metavar="RUN",
    help="Import one trace: the id of any of its runs, the address of its page, or a share link.",
)
@click.option("--from-langsmith-project", metavar="NAME", help="Import the traces of a project.")
@click.option(
    "--filter-status",
    type=click.Choice(["error", "warning", "all"]),
    default="error",
    show_default=True,
    help="Of a project: traces that failed, that ended well with trouble inside, or all.",
)
@click.option(
    "--date-range",
    metavar="RANGE",
    help="Of a project: last_7_days, last_12_hours …, or FROM/TO as ISO dates.",
)
@click.option(
    "--min-latency-ms",
    type=click.FloatRange(0, min_open=True),
    metavar="N",
    help="Of a project: traces that took so long.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=100,
    show_default=True,
    help="Of a project: the newest so many.",
)
@click.option(
    "--filter",
    "more_filter",
    metavar="EXPRESSION",
    default="",
    help="Of a project: more in LangSmith's filter language.",
)
@click.option("--redact", is_flag=True, help="Personal data and secrets become pseudonyms.")
@click.option("--run", is_flag=True, help="Replay what was imported.")
def replay_run(**options: Any) -> int:
    """Replay session files, or the sessions that the configuration names.

    With --from-langsmith or --from-langsmith-project, import traces as replay files; with --run
    too, replay them. The key comes from LANGSMITH_API_KEY.

    The agent gets the recorded answers of its tools, and its own answer is checked against the
    session's contract.

    Exit codes: 0 all passed, 1 a check failed, 2 something could not be judged, 3 open under
    --strict, 130 interrupted.
    """
    from replays_app.cli.replaying import Options, replay_sessions

    return replay_sessions(Options(**options))


@replay.command("stub")
@click.argument("file", metavar="FILE", type=_PATH)
@click.option("--tool", metavar="NAME", help="The tool that was called.")
@click.option("--args", metavar="JSON", help="The call's arguments; without: whatever they are.")
@click.option(
    "--response",
    metavar="TEXT",
    help="What the call gets, JSON or text.  [default: what the tool answered last in the "
    "recording]",
)
@click.option("--status", type=click.IntRange(0, 599), help="Its HTTP status; 0: no connection.")
@click.option("--error", metavar="TEXT", help="The text of the exception that the tool raises.")
@click.option(
    "--from-report",
    type=_PATH,
    metavar="REPORT.json",
    help="A stub for every call that a replay missed, as its report tells.",
)
@click.option("-o", "--output", type=_PATH, help="Where to write it.  [default: stdout]")
@click.option("--no-color", is_flag=True, help="No colour (NO_COLOR=1 does the same).")
def replay_stub(**options: Any) -> int:
    """Give a replay file answers for calls that its recording does not have.

    Such a call is no divergence any more; it gets its stub as often as it is made. Comments of the
    file are not kept.

    Exit codes: 0 written, 2 it cannot be done.
    """
    from replays_app.cli.stubbing import Options, add_stubs

    return add_stubs(Options(**options))


@replay.command("tool")
@click.argument("file", metavar="FILE", type=_PATH)
@click.argument("tool", metavar="[TOOL]", required=False)
@click.option(
    "--on-miss",
    type=click.Choice(["repeat_fault", "fail", "last", "stub", "passthrough", "default"]),
    help="What a call without a recorded answer gets.",
)
@click.option(
    "--match",
    type=click.Choice(["auto", "exact", "sequence", "default"]),
    help="How a call finds its record; without TOOL: for all tools.",
)
@click.option(
    "--ignore-arg", multiple=True, metavar="NAME", help="An argument that does not matter."
)
@click.option(
    "--compare-arg", multiple=True, metavar="NAME", help="An argument that matters again."
)
@click.option("-o", "--output", type=_PATH, help="Where to write it.  [default: stdout]")
@click.option("--no-color", is_flag=True, help="No colour (NO_COLOR=1 does the same).")
def replay_tool(**options: Any) -> int:
    """Say how a tool of a replay file is replayed.

    `default` takes a setting out: what the agent's configuration says holds again. Comments of the
    file are not kept.

    Exit codes: 0 written, 2 it cannot be done.
    """
    from replays_app.cli.tool_setting import Options, set_tool

    return set_tool(Options(**options))


@cli.command("mcp-stdio", add_help_option=False)
def mcp_stdio() -> int:
    """Serve a replay's recorded tools to an agent that starts its MCP servers.

    In place of the server's command. main.py runs it without coming here; this is for the help.
    """
    from replays_app.cli.mcp_stdio import main

    return main([])


@cli.command("gateway", add_help_option=False)
def gateway() -> int:
    """Answer for agents that already run, at a fixed address, while they are replayed.

    main.py runs it without coming here; this is for the help.
    """
    from replays_app.cli.gateway import main

    return main([])


@replay.command("export")
@click.option(
    "--from-report",
    type=_PATH,
    required=True,
    metavar="REPORT.json",
    help="What flakestorm run --output json wrote.",
)
@click.option(
    "-o",
    "--output",
    type=_PATH,
    default="replays",
    show_default=True,
    help="The directory for the replay files.",
)
@click.option(
    "--contract",
    metavar="NAME|PATH",
    help="What the answers are judged by.  [default: one made of the checks that failed, written "
    "beside the replay files]",
)
@click.option(
    "-c",
    "--config",
    type=_PATH,
    default=CONFIG,
    show_default=True,
    help="Whose contracts --contract may name.",
)
@click.option("--no-color", is_flag=True, help="No colour (NO_COLOR=1 does the same).")
def replay_export(**options: Any) -> int:
    """Write the failed mutations of a flakestorm report as replay files.

    A file that was changed since it was written is never overwritten.

    Exit codes: 0 all is there, 1 a changed file was kept, 2 something could not be read or written.
    """
    from replays_app.cli.exporting import Options, export_report

    return export_report(Options(**options))


@cli.group(cls=Words)
def agent() -> None:
    """Look at the agent under test."""


@agent.command("check")
@click.option(
    "-c",
    "--config",
    type=_PATH,
    default=CONFIG,
    show_default=True,
    help="Whose agent to look at.",
)
@click.option(
    "--input",
    "prompt",
    metavar="TEXT",
    help="What to ask.  [default: the first replay of the configuration, else a plain question]",
)
@click.option(
    "--session",
    type=_PATH,
    metavar="FILE",
    help="A replay file: its question, with its recorded answers.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/cli.md).")
@click.option("--no-color", is_flag=True, help="No colour (NO_COLOR=1 does the same).")
def agent_check(**options: Any) -> int:
    """Start the agent, or reach the one that runs, ask it once, and say what was seen.

    Which tools were reached through which door, what went past it, and which lines of the
    configuration would do.

    Exit codes: 0 nothing to change, 1 something is, 2 the agent could not be asked, 130
    interrupted.
    """
    from replays_app.cli.agent_checking import Options, check_agent

    return check_agent(Options(**options))


@cli.group(cls=Words)
def contract() -> None:
    """Look at contracts."""


@contract.command("validate")
@click.argument("paths", metavar="[CONTRACT_FILE]...", nargs=-1, type=_PATH)
@click.option(
    "-c",
    "--config",
    type=_PATH,
    default=None,
    help=f"Whose contracts to look at.  [default: {CONFIG}, when no file is given]",
)
@click.option("--no-color", is_flag=True, help="No colour (NO_COLOR=1 does the same).")
def contract_validate(paths: tuple[Path, ...], config: Path | None, no_color: bool) -> int:
    """Read contracts and print their invariants, warnings and problems.

    Exit codes: 0 all can be used, 2 one cannot.
    """
    from replays_app.cli.validating import validate

    if config is None and not paths:
        config = Path(CONFIG)
    return validate(paths, config, no_color=no_color)
