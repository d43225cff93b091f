import io
import os
from pathlib import Path

import pytest

from replays_app.cli.screen import Screen


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def screen(out: io.StringIO, environ: dict[str, str] | None = None, **given: bool) -> Screen:
    return Screen(out=out, err=Terminal(), environ=environ or {}, **given)


@pytest.mark.parametrize(
    ("out", "environ", "given", "coloured"),
    [
        (Terminal(), {}, {}, True),
        (io.StringIO(), {}, {}, False),
        (Terminal(), {"NO_COLOR": "1"}, {}, False),
        (Terminal(), {"NO_COLOR": ""}, {}, True),
        (Terminal(), {"TERM": "dumb"}, {}, False),
        (Terminal(), {}, {"no_color": True}, False),
    ],
)
def test_colour_is_for_terminals_that_want_it(
    out: io.StringIO, environ: dict[str, str], given: dict[str, bool], coloured: bool
) -> None:
    text = screen(out, environ, **given).paint("failed", "red")
    assert text == ("\x1b[31mfailed\x1b[0m" if coloured else "failed")


def test_the_progress_line_is_never_drawn_into_a_pipe() -> None:
    err = io.StringIO()
    Screen(out=Terminal(), err=err, environ={}).progress(1, 2, "attempt", "1 passed", 0.1)
    assert err.getvalue() == ""


def test_the_progress_line_gives_way_to_a_result() -> None:
    out, err = Terminal(), Terminal()
    it = Screen(out=out, err=err, environ={})
    it.progress(1, 2, "attempt", "1 passed", 0.1)
    it.line("passed  one")
    assert "1 of 2 attempts" in err.getvalue()
    assert err.getvalue().endswith("\r\x1b[K")
    assert out.getvalue() == "passed  one\n"


def test_quiet_keeps_errors_and_drops_notes() -> None:
    err = io.StringIO()
    it = Screen(out=io.StringIO(), err=err, quiet=True, environ={})
    it.note("skipped notes.yaml")
    it.error("broken.yaml:3: id: is missing")
    assert err.getvalue() == "broken.yaml:3: id: is missing\n"


def test_a_reader_that_left_is_told_of_once_and_nothing_is_written_after_it() -> None:
    read, write = os.pipe()
    os.close(read)
    told: list[bool] = []
    with os.fdopen(write, "w") as out:
        it = Screen(out=out, err=io.StringIO(), environ={})
        it.on_gone = lambda: told.append(True)
        it.line("first")
        it.line("second")
    assert (it.gone, told) == (True, [True])


def test_an_encoding_that_cannot_write_a_character_does_not_stop_the_replay(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w", encoding="ascii") as out:
        Screen(out=out, err=io.StringIO(), environ={}).line("€ 4")
    assert (tmp_path / "out").read_text() == "\\u20ac 4\n"
