"""An export is replayed by the command line with the dashboard's result, and can be taken back."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.utils import timezone

from replays_app.cli.main import run
from replays_app.models import Incident
from replays_app.services import exports
from replays_app.services.contracts import save_text
from replays_app.services.imports import Upload, take_uploads
from tests import factories
from tests.cli.support import CONTRACT, INCIDENT, config

pytestmark = pytest.mark.database

FACTLESS = "name: Finance Agent Contract\ninvariants: [{type: contains, value: never said}]"


@pytest.fixture
def project(db):
    project = factories.project()
    save_text(project, f"# kept\n{CONTRACT}", None)
    return project


def report(project, **more: Any) -> Incident:
    payload = {**yaml.safe_load(INCIDENT), **more}
    take_uploads(project, [upload("a.json", json.dumps(payload).encode())], actor=None)
    return Incident.objects.get(session__session_id=payload["id"])


def upload(name: str, data: bytes) -> Upload:
    return Upload(name, io.BytesIO(data))


def exported(project) -> tuple[bytes, exports.Exported]:
    into = io.BytesIO()
    done = exports.write_archive(project, Incident.objects.filter(project=project), into)
    return into.getvalue(), done


def unpack(data: bytes, into: Path) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        archive.extractall(into)
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_an_archive_holds_each_recording_and_its_contract_once(project, tmp_path):
    keys = [report(project, id=f"s{n}").key for n in range(2)]
    files = unpack(exported(project)[0], tmp_path)
    contract = project.contracts.get()
    path = f"contracts/finance-agent-contract-{contract.pk}-r1.yaml"
    assert set(files) == {f"{keys[0]}.yaml", f"{keys[1]}.yaml", path, "NOTES.txt"}
    assert yaml.safe_load(files[f"{keys[0]}.yaml"])["contract"] == path
    assert files[path].startswith("# kept")


@pytest.mark.processes
@pytest.mark.parametrize(("mode", "code"), [("buggy", 1), ("fixed", 0)])
def test_the_command_line_judges_an_archive_as_the_dashboard_does(
    project, tmp_path, monkeypatch, capsys, mode, code
):
    """Also where the configuration calls another contract by the same name."""
    report(project, id="one")
    report(project, id="two")
    unpack(exported(project)[0], tmp_path / "unzipped")
    monkeypatch.chdir(tmp_path)
    before, _, _ = config(mode).partition("\ncontract:")
    inner = "\n".join(f"  {line}" for line in FACTLESS.splitlines())
    Path("flakestorm.yaml").write_text(f"{before}\ncontract:\n{inner}\n")
    assert run(["replay", "run", "unzipped", "-o", "report.json"]) == code, capsys.readouterr()
    said = json.loads(Path("report.json").read_text())
    assert [s["id"] for s in said["sessions"]] == ["one", "two"]
    assert {s["contract"] for s in said["sessions"]} == {"Finance Agent Contract"}
    checks = {c["id"] for s in said["sessions"] for a in s["attempts"] for c in a["checks"]}
    assert checks == {"always-cite-source", "never-fabricate-when-tools-fail", "max-latency"}
    assert said["broken"] == []


@pytest.mark.parametrize("word", ["default", "Finance Agent Contract"])
def test_what_was_exported_is_already_here(project, word):
    report(project, contract=word)
    data, _ = exported(project)
    [receipt] = [
        i
        for i in take_uploads(project, [upload("x.zip", data)], actor=None).items
        if i["status"] != "skipped"
    ]
    assert receipt["status"] == "already here"


def test_another_project_takes_an_archive_with_its_contracts(project):
    report(project)
    data, _ = exported(project)
    other = factories.project()
    items = take_uploads(other, [upload("x.zip", data)], actor=None, save_contracts=True).items
    assert [i["status"] for i in items] == ["skipped", "contract saved", "created"]
    assert Incident.objects.get(project=other).contract.name == "Finance Agent Contract"


def test_what_is_left_out_is_named(project, monkeypatch, tmp_path):
    erased, alone, *_ = [report(project, id=f"s{n}") for n in range(4)]
    erased.session.current.body = None
    erased.session.current.erased_at = timezone.now()
    erased.session.current.save()
    alone.contract = None
    alone.save()
    monkeypatch.setattr(exports, "MAX_INCIDENTS", 3)
    data, done = exported(project)
    notes = unpack(data, tmp_path)["NOTES.txt"]
    assert done.count == 2
    assert f"- {erased.key}: its recording was erased" in notes
    assert f"- the contract of {alone.key}: it has none here" in notes
    assert "- 1 incidents after the first 3: filter the list" in notes


def test_an_archive_has_a_bound(project, monkeypatch):
    report(project, id="a")
    report(project, id="b")
    monkeypatch.setattr(exports, "MAX_BYTES", 1_000)
    _, done = exported(project)
    assert done.count == 1
    assert "the archive is full" in done.left_out[0]
