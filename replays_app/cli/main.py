"""The entry point. What is not needed to print a version is imported later: click costs 40 ms."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from types import TracebackType

from replays_app.cli import VERSION

INTERRUPTED = 130
UNUSABLE = 2  # never 1: that is a finding about the agent


def main(arguments: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words == ["--version"]:
        sys.stdout.write(f"flakestorm {VERSION}\n")
        return 0
    if words[:1] == ["mcp-stdio"]:
        from replays_app.cli.mcp_stdio import main as serve  # without click: agents wait for it

        return serve(words[1:])
    sys.excepthook = _fault_of_ours
    if words[:1] == ["gateway"]:
        from replays_app.cli.gateway import main as stand

        return stand(words[1:])
    # Little of what is read becomes garbage before the end, and looking for it costs 5 % of it all.
    gc.set_threshold(50_000)
    return run(words)


def run(words: list[str]) -> int:
    """The exit code of a command line."""
    import click

    from replays_app.cli.commands import cli

    try:
        code = cli.main(words, prog_name="flakestorm", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return UNUSABLE
    except (click.Abort, KeyboardInterrupt):
        sys.stderr.write("interrupted\n")
        return INTERRUPTED
    return code or 0


def _fault_of_ours(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Python would print a traceback and exit with 1, which says that the agent failed."""
    if os.environ.get("FLAKESTORM_DEBUG", "0") not in {"", "0"}:
        sys.__excepthook__(kind, error, trace)
    words = " ".join(f"{kind.__name__}: {error}".split())[:500]
    sys.stderr.write(
        f"flakestorm: a fault of ours, not of your agent: {words} "
        "(FLAKESTORM_DEBUG=1 shows where; please report it)\n"
    )
    raise SystemExit(UNUSABLE)
