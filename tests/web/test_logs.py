"""Log lines: one a request, with its id; nothing in them that was a secret."""

from __future__ import annotations

import dataclasses
import io
import json
import logging
import logging.config

import pytest

from replays_app import logs


@pytest.fixture
def lines():
    """The lines that the handler of the product writes, as JSON."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.addFilter(logs.Context())
    handler.setFormatter(logs.Json())
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    root.removeHandler(handler)
    root.setLevel(before)


def access(found: list[dict]) -> dict:
    (line,) = [line for line in found if line["logger"] == "flakestorm.access"]
    return line


def test_a_request_has_one_line_with_route_status_time_and_user(team, lines):
    client = team.client("viewer")
    response = client.get(team.url("incidents") + "?q=customer+name")
    line = access(lines())
    assert line["route"] == "p/<slug:slug>/incidents/"
    assert (line["method"], line["status"]) == ("GET", 200)
    assert line["user"] == team.people["viewer"].pk
    assert line["ms"] > 0
    assert line["request"] == response["X-Request-ID"]
    assert "customer" not in json.dumps(line)


def test_a_probes_line_is_only_for_debugging(client, lines):
    client.get("/healthz")
    assert lines() == []


def test_a_probe_that_fails_is_a_line_by_its_name(db, client, lines, settings, tmp_path):
    settings.ENV = dataclasses.replace(settings.ENV, redis_url=f"unix://{tmp_path}/none.sock")
    client.get("/readyz")
    assert "Service Unavailable: readyz" in [line["message"] for line in lines()]


@pytest.mark.parametrize(
    ("given", "is_taken"),
    [
        ("7f3c-A_b.9", True),
        ("x" * 64, True),
        ("x" * 65, False),
        ("", False),
        ("two words", False),
        ("line\nbreak", False),
        ("ünïcode", False),
        ('"},{"', False),
    ],
)
def test_a_sane_request_id_is_taken_and_any_other_replaced(client, given, is_taken):
    response = client.get("/healthz", headers={"X-Request-ID": given})
    assert (response["X-Request-ID"] == given) is is_taken
    assert len(response["X-Request-ID"]) in (32, len(given))


def test_a_path_that_holds_a_secret_is_in_no_line(db, client, lines):
    """Django's own lines name the path of what was not found."""
    client.get("/invitations/s3cret-t0ken/")
    client.get("/p/nowhere/incidents/s3cret-t0ken/?q=s3cret-t0ken")
    found = lines()
    assert len({line["request"] for line in found}) == 2
    assert all(line["request"] for line in found)
    assert "s3cret-t0ken" not in json.dumps(found)


def test_an_unknown_method_does_not_write_the_log(client, lines):
    client.generic("X\nFORGED", "/login/")
    assert access(lines())["method"] == "other"


def test_a_crash_is_logged_with_its_traceback_under_the_id_on_the_page(team, lines, monkeypatch):
    def breaks(*_args, **_more):
        raise RuntimeError("broken")

    monkeypatch.setattr("replays_app.queries.incidents", breaks)
    client = team.client("viewer")
    client.raise_request_exception = False
    response = client.get(team.url("incidents"))
    found = lines()
    (crash,) = [line for line in found if "exception" in line]
    assert "RuntimeError: broken" in crash["exception"]
    assert crash["message"] == "Internal Server Error: p/<slug:slug>/incidents/"
    assert crash["request"] == access(found)["request"] == response["X-Request-ID"]
    assert response["X-Request-ID"] in response.content.decode()


def record(message: str, *args, **more) -> logging.LogRecord:
    made = logging.makeLogRecord(
        {"name": "x", "levelname": "INFO", "msg": message, "args": args, **more}
    )
    logs.Context().filter(made)
    return made


def test_what_a_worker_is_at_is_on_its_lines():
    with logs.bound(claim="abc"), logs.bound(runs=[1, 2]):
        line = json.loads(logs.Json().format(record("saved %s", 7)))
    assert (line["message"], line["claim"], line["runs"]) == ("saved 7", "abc", [1, 2])
    assert "claim" not in json.loads(logs.Json().format(record("later")))


def test_text_keeps_a_message_on_one_line():
    with logs.bound(request="r1"):
        text = logs.Text().format(record("said\n2026 ERROR forged\x1b[31m"))
    assert text.endswith("INFO x: said\\n2026 ERROR forged\\x1b[31m request=r1")
    assert "\n" not in text


@pytest.mark.parametrize("name", logs.FORMATS)
def test_the_configuration_is_one_that_logging_takes(name, capsys):
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        logging.config.dictConfig(logs.config(name, "INFO"))
        logging.getLogger("anything").info("hello")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    assert "hello" in capsys.readouterr().err


def test_where_a_fault_was_is_told_without_what_it_says():
    try:
        {}["what somebody asked"]
    except KeyError as fault:
        said = logs.places(fault)
    assert said.startswith("KeyError at test_logs.py:")
    assert "asked" not in said
