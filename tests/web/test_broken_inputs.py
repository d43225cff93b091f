"""A thousand broken inputs at every door that takes a recording from a person.

A door answers with words that name the file or the field, or takes the input in whole where it is
legal text. No traceback, nothing half saved, memory bounded.
"""

from __future__ import annotations

import io
import json
import re
import tracemalloc
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from lxml import html

from replays_app import models
from replays_app.cli.main import run
from replays_app.services import capture, imports, limits, tokens
from tests.broken_inputs import (
    BIDI,
    CONTROL,
    KINDS,
    SECRET,
    SECRET_VALUE,
    XSS,
    BrokenInput,
    broken_inputs,
)
from tests.web.test_capture import fields

pytestmark = pytest.mark.database

SEED = 20261124
HEAVY = {"big", "zip bomb", "alias bomb", "deep nesting"}
ZIPS = {kind for kind in KINDS if kind.startswith("zip")}
LEAK = ("Traceback", "root:x:", SECRET_VALUE, "OperationalError")
MB = 1024 * 1024
MEMORY_MB = 80  # what one upload may add: 20 MB of files, read and taken apart


@pytest.fixture(autouse=True)
def secret(monkeypatch):
    monkeypatch.setenv(SECRET, SECRET_VALUE)


def rows() -> tuple[int, ...]:
    nouns = (models.ReplaySession, models.SessionRevision, models.Incident, models.Contract)
    return tuple(noun.objects.count() for noun in nouns)


def inputs(*, without: set[str]) -> Iterator[BrokenInput]:
    return broken_inputs(SEED, kinds=KINDS.keys() - without)


def check_words(item: BrokenInput, words: str) -> None:
    assert words.strip(), item
    assert not any(leak in words for leak in LEAK), (item, words)


def take(team, item: BrokenInput) -> list[dict[str, Any]]:
    """Through the service that every upload comes to."""
    upload = imports.Upload(item.filename, io.BytesIO(item.content))
    return imports.take_uploads(team.project, [upload], actor=None).items


def check_receipt(item: BrokenInput, items: list[dict[str, Any]], added: int) -> None:
    assert items, item
    statuses = {i["status"] for i in items}
    taken = sum(i["status"] == "created" for i in items)
    assert taken == added, item
    if item.expect == "kept":
        assert statuses == {"created"}, (item, items)
        return
    if item.expect == "refused":
        assert statuses == {"refused"}, (item, items)
    for refused in (i for i in items if i["status"] == "refused"):
        assert refused["source"].startswith(item.filename), (item, refused)
        for problem in refused["problems"]:
            check_words(item, problem)


def test_an_upload_says_what_is_wrong_or_takes_it_in_whole(team):
    for item in inputs(without=HEAVY):
        before = rows()
        items = take(team, item)
        after = rows()
        added = after[2] - before[2]
        # A session, its revision and its incident, or none of them; never a contract.
        assert [b - a for a, b in zip(before, after, strict=True)] == [added, added, added, 0], item
        check_receipt(item, items, added)


@pytest.mark.parametrize("kind", sorted(HEAVY))
def test_an_upload_stays_small_in_memory(team, kind):
    for item in broken_inputs(SEED, kinds={kind}):
        tracemalloc.start()
        try:
            items = take(team, item)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < MEMORY_MB * MB, (item, peak)
        check_receipt(item, items, 0)
    assert rows()[:3] == (0, 0, 0)


@pytest.mark.parametrize("number", range(KINDS["big"]))
def test_fifty_megabytes_are_refused_by_the_page(team, number):
    item = list(broken_inputs(SEED, kinds={"big"}))[number]
    client = team.client("responder")
    files = {"files": SimpleUploadedFile(item.filename, item.content)}
    response = client.post(team.url("import"), files)
    assert response.status_code == 413
    assert b"Nothing was taken in" in response.content
    data = {"as": "yaml", "severity": "low", "text": "x" * (50 * MB)}
    response = client.post(team.url("incident-new"), data)
    assert response.status_code == 400
    assert b"larger than this server takes" in response.content
    assert rows()[:3] == (0, 0, 0)


def test_the_upload_page_answers_for_every_kind(team):
    """Through the browser's door, and the receipt that follows."""
    client = team.client("responder")
    for item in inputs(without={"big", "zip bomb"}):
        files = {"files": SimpleUploadedFile(item.filename, item.content)}
        response = client.post(team.url("import"), files, follow=True)
        assert response.status_code == 200, item
        check_page(item, response)


def check_page(item: BrokenInput, response) -> None:
    tree = html.fromstring(response.content)
    check_words(item, tree.text_content())
    assert not tree.xpath("//script[not(@src)] | //iframe | //img | //base | //style"), item
    assert not tree.xpath("//@*[starts-with(name(), 'on')]"), item
    assert not tree.xpath("//*[@style] | //*[starts-with(@href, 'javascript:')]"), item
    # What is shown of it has its invisible characters spelled out; a field keeps what was typed.
    for area in tree.xpath("//textarea | //input"):
        area.drop_tree()
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\x1b\x07]", tree.text_content()), item


def test_a_typed_text_says_what_is_wrong_or_becomes_an_incident(team):
    client, url = team.client("responder"), team.url("incident-new")
    for item in inputs(without=ZIPS | {"big"}):
        before = rows()
        data = {"as": "yaml", "severity": "low", "text": item.text}
        response = client.post(url, data)
        assert response.status_code in (303, 422), item
        added = int(response.status_code == 303)
        assert [b - a for a, b in zip(before, rows(), strict=True)] == [added] * 3 + [0], item
        if item.expect == "kept":
            assert added or "\0" in item.text, (item, response.content)
            check_page(item, client.get(response["Location"]))
        elif item.expect == "refused":
            # As a form sends it, a text in another encoding is another text.
            assert not added or item.kind in ("encoding", "binary"), item
        if not added:
            check_page(item, response)


def test_the_api_says_what_is_wrong_or_takes_it_in_whole(team, monkeypatch):
    """Every input there is: archives are no recording here, and 50 MB are not even read."""
    monkeypatch.setattr(capture, "A_MINUTE", (limits.Rule(10_000, limits.MINUTE),))
    _, key = tokens.create_token(team.project, "handler", ["write"], None, None)
    headers = {"Authorization": f"Bearer {key}"}
    client, url = Client(), reverse("api:incidents")
    for item in inputs(without=set()):
        before = rows()
        media = "application/json" if item.filename.endswith(".json") else "application/yaml"
        # The test client drops the type of an empty body.
        content = item.content or b" "
        response = client.post(url, content, content_type=media, headers=headers)
        added = int(response.status_code == 201)
        assert [b - a for a, b in zip(before, rows(), strict=True)] == [added] * 3 + [0], item
        answer = response.json()
        check_words(item, json.dumps(answer, ensure_ascii=False))
        if item.expect == "kept":
            assert added, (item, answer)
            check_page(item, team.client("viewer").get(urlsplit(answer["url"]).path))
        elif item.is_zip or item.expect == "refused":
            assert response.status_code in (400, 413, 422), (item, answer)
        if not added:
            assert answer["message"], (item, answer)
            assert answer["error"] in ("invalid", "refused", "too_large"), (item, answer)


HOSTILE = (*XSS, *BIDI, *(t for t in CONTROL if "\ud83d" not in t), f"${{{SECRET}}}", "9" * 5_000)


def test_every_field_of_the_form_stands_hostile_text(team):
    client, url = team.client("responder"), team.url("incident-new")
    names = [n for n in fields(team) if n not in ("agent", "contract")]
    for text in HOSTILE:
        for name in (*names, "session_id", "do", "as", "calls-1-id"):
            response = client.post(url, fields(team, **{name: text}))
            assert response.status_code in (200, 303, 422), (name, text)
            if response.status_code == 303:
                response = client.get(response["Location"])
            check_page(BrokenInput(name, "form", text.encode(), "form"), response)


AGENT = """
version: "2.0"
agent: {endpoint: "http://127.0.0.1:9/", gateway: tool_url, gateway_listen: "127.0.0.1:8199"}
contract: {name: Only, invariants: [{type: contains, value: please}]}
"""


def test_the_command_line_names_every_broken_file(tmp_path, capsys):
    """All at once, from one folder. Nobody answers at the agent's address: what is legal cannot run
    there, and says so."""
    (tmp_path / "flakestorm.yaml").write_text(AGENT)
    folder = tmp_path / "all"
    folder.mkdir()
    made = [
        (i, (folder / i.filename).write_bytes(i.content))
        for i in inputs(without=ZIPS)
        if not i.is_zip
    ]
    code = run(["replay", "run", str(folder), "-c", str(tmp_path / "flakestorm.yaml")])
    seen = capsys.readouterr()
    assert code == 2
    check_words(made[0][0], seen.out + seen.err)
    for item, _ in made:
        # Nothing is filled in here either, so that what looks like a variable is text; and `file:`
        # is followed for whoever runs the command, so that the problem is the other file's.
        if item.expect == "refused" and item.kind not in ("variable", "file"):
            assert item.filename in seen.err, item
