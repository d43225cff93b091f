"""Lines on stdout, notes and the progress line on stderr; either may be no terminal, or go away."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import TextIO

from replays_app.cli.text import plural

_COLOURS = {"red": 31, "green": 32, "yellow": 33, "blue": 34, "dim": 2, "bold": 1}
_REDRAW_S = 0.1


class Screen:
    """Where a command writes. `on_gone` is called once, when the reader of stdout has left."""

    def __init__(
        self,
        *,
        out: TextIO | None = None,
        err: TextIO | None = None,
        quiet: bool = False,
        no_color: bool = False,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._out = out or sys.stdout
        self._err = err or sys.stderr
        self.quiet = quiet
        self.gone = False
        self.on_gone: Callable[[], object] = lambda: None
        terminal = environ.get("TERM") != "dumb"
        self._colour = self._out.isatty() and terminal and not no_color and not _no_color(environ)
        self.live = self._err.isatty() and terminal and not quiet
        self._drawn = False
        self._drawn_at = 0.0
        for stream in (self._out, self._err):
            # An answer may hold what this terminal's encoding has no way to write.
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")

    def paint(self, text: str, *colours: str) -> str:
        if not self._colour:
            return text
        return f"\x1b[{';'.join(str(_COLOURS[c]) for c in colours)}m{text}\x1b[0m"

    def line(self, text: str = "") -> None:
        """A line of the result."""
        if self.gone:
            return
        self._wipe()
        try:
            self._out.write(text + "\n")
            self._out.flush()
        except BrokenPipeError:
            self._leave()

    def note(self, text: str) -> None:
        """Something beside the result: what was skipped, where a report went."""
        if not self.quiet:
            self.error(text)

    def error(self, text: str) -> None:
        self._wipe()
        try:
            self._err.write(text + "\n")
            self._err.flush()
        except BrokenPipeError:
            self._leave()

    def progress(self, done: int, of: int, noun: str, counts: str, seconds: float) -> None:
        """One line that redraws itself, at most ten times a second; only on a terminal."""
        now = time.monotonic()
        if not self.live or now - self._drawn_at < _REDRAW_S:
            return
        self._drawn_at = now
        width = 20
        filled = width * done // of if of else width
        bar = "#" * filled + "-" * (width - filled)
        text = f"[{bar}] {done:,} of {plural(of, noun)}  {seconds:.1f} s  {counts}"
        self._err.write(f"\r\x1b[K{text[: _columns() - 1]}")
        self._err.flush()
        self._drawn = True

    def close(self) -> None:
        self._wipe()

    def _wipe(self) -> None:
        if self._drawn:
            self._drawn = False
            self._err.write("\r\x1b[K")
            self._err.flush()

    def _leave(self) -> None:
        if not self.gone:
            self.gone = True
            # Otherwise the interpreter flushes into the closed pipe again when it ends.
            _discard(self._out)
            self.on_gone()


def _no_color(environ: Mapping[str, str]) -> bool:
    return bool(environ.get("NO_COLOR"))


def _columns() -> int:
    return os.get_terminal_size(2).columns if os.isatty(2) else 80


def _discard(stream: TextIO) -> None:
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, stream.fileno())
    os.close(nothing)
