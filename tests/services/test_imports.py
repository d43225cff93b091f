"""Uploads: each file taken in whole or refused by name, and nothing outside an archive read."""

from __future__ import annotations

import io
import stat
import zipfile
from typing import Any

import pytest
import yaml

from replays_app.models import Activity, Contract, Import, Incident, SessionRevision
from replays_app.services import archives
from replays_app.services.imports import MAX_LINES, Upload, take_uploads
from tests import factories

pytestmark = pytest.mark.database


@pytest.fixture
def project(db):
    return factories.project()


@pytest.fixture
def contract(project) -> Contract:
    return factories.contract(project)


def text(**fields: Any) -> bytes:
    return yaml.safe_dump(factories.session_value(**fields)).encode()


def zipped(files: dict[str | zipfile.ZipInfo, bytes]) -> bytes:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return into.getvalue()


def take(project, *, save_contracts: bool = False, **files: bytes) -> list[dict[str, Any]]:
    """`a_yaml=b"…"` is the file a.yaml."""
    uploads = [Upload(n.replace("_", "."), io.BytesIO(data)) for n, data in files.items()]
    return take_uploads(project, uploads, actor=None, save_contracts=save_contracts).items


def statuses(items: list[dict[str, Any]]) -> list[str]:
    return [item["status"] for item in items]


def test_a_file_becomes_an_incident_and_its_receipt_names_it(project, contract):
    [item] = take(project, a_yaml=text())
    incident = Incident.objects.get(project=project)
    assert item["status"] == "created"
    assert item["incident"] == incident.key
    assert item["source"] == "a.yaml"
    assert item["notes"] == [f"contract default: {contract.name}, the only one here."]
    assert Import.objects.get(project=project).items == [item]


def test_the_same_again_is_already_here_and_other_content_a_new_revision(project, contract):
    take(project, a_yaml=text(id="s1"))
    assert statuses(take(project, b_json=b'{"id": "s1"}')) == ["refused"]
    assert statuses(take(project, a_yaml=text(id="s1"))) == ["already here"]
    assert statuses(take(project, a_yaml=text(id="s1", input="Other"))) == ["new revision"]
    assert Incident.objects.count() == 1
    assert SessionRevision.objects.count() == 2


def test_one_broken_session_stops_no_other(project, contract):
    several = b"\n---\n".join(
        [text(id="s1"), b"id: s2\ninput: 7\ncontract: default", text(id="s3")]
    )
    items = take(project, a_yaml=several, b_yaml=b"id: [", c_yaml=text(id="s4"))
    assert statuses(items) == ["created", "refused", "created", "refused", "created"]
    assert items[1]["problems"] == [
        "a.yaml:14: input: is a number, must be text or a list; put it in quotes"
    ]
    assert items[3]["problems"][0].startswith("b.yaml:2: is not valid YAML")
    assert Incident.objects.count() == 3


@pytest.mark.parametrize(
    ("name", "data", "status", "said"),
    [
        ("a.yaml", b"", "refused", "is empty"),
        ("a.yaml", b"just text", "refused", "is text, not a replay session"),
        ("a.yaml", b"agent: {endpoint: x}", "refused", "is a configuration"),
        ("a.yaml", b"name: x\ninvariants: []", "skipped", "is a contract"),
        ("a.yaml", b"file: /etc/passwd", "refused", "file: names a file of this machine"),
        ("a.yaml", text(contract="../c.yaml"), "refused", "'../c.yaml' is not known"),
        ("a.yaml", text(input="${SECRET}"), "refused", "input: holds ${SECRET}"),
        ("a.yaml", text(agent_version="v${N}"), "refused", "agent_version: holds ${N}"),
        ("a.yaml", b"\x89PNG\r\n\x1a\n\0", "refused", "it is binary"),
        ("a.yaml", b"x" * (archives.MAX_FILE_BYTES + 9), "refused", "limit 5,242,880 bytes"),
        ("a.zip", b"not one", "refused", "no zip archive"),
        ("a.zip", zipped({}), "refused", "holds no YAML or JSON file"),
        ("a.zip", zipped({"../b.yaml": text()}), "refused", "leads out of the archive"),
        ("a.zip", zipped({"b/notes.txt": b"x", "c.yaml": b""}), "skipped", "neither YAML nor JSON"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_in_says_what_was_seen(project, contract, name, data, status, said):
    items = take_uploads(project, [Upload(name, io.BytesIO(data))], actor=None).items
    assert items[0]["status"] == status
    words = " ".join(items[0]["problems"] + items[0]["notes"])
    assert said in words
    assert status == "skipped" or words.startswith(name) or items[0]["source"].startswith(name)
    assert not Incident.objects.exists()
    assert not SessionRevision.objects.exists()


def test_a_variable_inside_a_longer_text_is_evidence_and_stays(project, contract):
    answer = "Run `echo ${HOME}` first."
    [item] = take(project, a_yaml=text(recorded_output=answer, input="What of ${X} and ${Y}?"))
    assert item["status"] == "created"
    assert Incident.objects.get().session.current.body["recorded_output"] == answer


def test_an_archive_is_followed_inside_itself(project):
    data = zipped(
        {
            "deep/entry.yaml": b"file: ../sessions/a.yaml\nid: from-entry",
            "sessions/a.yaml": text(id="a", contract="../c/polite.yaml"),
            "c/polite.yaml": yaml.safe_dump(factories.contract_value("Polite")).encode(),
            "__MACOSX/a.yaml": b"junk",
            ".hidden.yaml": b"junk",
        }
    )
    items = take(project, all_zip=data, save_contracts=True)
    assert statuses(items) == ["contract saved", "created", "created"]
    assert items[1]["source"] == "all.zip/deep/entry.yaml"
    bodies = [i.session.current.body for i in Incident.objects.all()]
    assert {b["contract"] for b in bodies} == {"Polite"}
    assert {b["id"] for b in bodies} == {"a", "from-entry"}


def test_without_leave_an_archives_contract_is_not_saved(project):
    data = zipped(
        {
            "a.yaml": text(contract="polite.yaml"),
            "polite.yaml": yaml.safe_dump(factories.contract_value("Polite")).encode(),
        }
    )
    items = take(project, all_zip=data)
    assert statuses(items) == ["refused", "skipped"]
    assert "Save contracts that come along" in items[0]["problems"][0]
    assert not Contract.objects.exists()


def test_an_archives_contract_that_differs_from_the_projects_is_noted(project):
    factories.contract(project, factories.contract_value("Polite", description="ours"))
    data = zipped(
        {
            "a.yaml": text(contract="polite.yaml"),
            "polite.yaml": yaml.safe_dump(factories.contract_value("Polite")).encode(),
        }
    )
    [item, _] = take(project, all_zip=data)
    assert item["status"] == "created"
    assert "differs from polite.yaml" in item["notes"][0]


@pytest.mark.parametrize("target", ["/etc/passwd", "../../etc/passwd", "gone.yaml", "a\0b", "."])
def test_an_archive_leads_nowhere_else(project, contract, target):
    entry = yaml.safe_dump({"file": target}).encode()
    [item] = take(project, all_zip=zipped({"d/a.yaml": entry}))
    assert item["status"] == "refused"
    assert "all.zip/d/a.yaml:1: file:" in item["problems"][0]
    assert "root:" not in str(item)


def special(kind: int) -> bytes:
    info = zipfile.ZipInfo("a.yaml")
    info.create_system = 3
    info.external_attr = (kind | 0o777) << 16
    return zipped({info: b"/etc/passwd"})


def flagged() -> bytes:
    data = bytearray(zipped({"a.yaml": text()}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (special(stat.S_IFLNK), "is a link"),
        (special(stat.S_IFIFO), "no ordinary file"),
        (flagged(), "is encrypted"),
        (zipped({"/a.yaml": b""}), "no path inside the archive"),
        (zipped({"C:\\a.yaml": b""}), "no path inside the archive"),
        (zipped({f"{n}.yaml": b"" for n in range(archives.MAX_ENTRIES + 1)}), "2,000 entries"),
        (zipped({"a.yaml": b"#" * (archives.MAX_FILE_BYTES + 1)}), "5,242,880 bytes"),
        (zipped({f"{n}.yaml": b"#" * 5_000_000 for n in range(6)}), "20,971,520 bytes"),
        (zipped({"a.yaml": text()})[:-30], "damaged"),
    ],
)
def test_a_hostile_archive_is_refused(project, contract, data, said):
    items = take(project, all_zip=data)
    assert set(statuses(items)) == {"refused"}
    assert said in items[0]["problems"][0]
    assert not Incident.objects.exists()


def test_the_archives_of_one_upload_share_what_may_be_unpacked(project, contract):
    """Each of 500 small bombs would stay within its own bound."""
    half = zipped({f"{n}.yaml": b"#" * 4_000_000 for n in range(3)})
    items = take(project, a_zip=half, b_zip=half, c_zip=zipped({"d.yaml": text()}))
    assert statuses(items) == ["refused", "refused", "skipped", "skipped", "skipped"]
    assert all("20,971,520 bytes" in item["problems"][0] for item in items[:2])


def test_the_archives_of_one_upload_share_the_number_of_entries(project, contract):
    most = zipped({f"{n}.txt": b"" for n in range(archives.MAX_ENTRIES)})
    items = take(project, a_zip=most, b_zip=zipped({"d.yaml": text()}))
    assert [item["source"] for item in items[-2:]] == ["a.zip", "b.zip"]
    assert "2,000 entries" in items[-1]["problems"][0]
    assert not Incident.objects.exists()


def test_an_id_that_comes_twice_with_other_content_is_refused(project, contract):
    files = {"a.yaml": text(id="x"), "b.yaml": text(id="x", input="Other"), "c.yaml": text(id="x")}
    items = take(project, all_zip=zipped(files))
    assert statuses(items) == ["created", "refused", "already here"]
    assert "the id x is also in all.zip/a.yaml" in items[1]["problems"][0]


def test_a_receipt_stays_short(project, contract):
    value = factories.session_value(**{f"wrong{n}": "x" * 9_000 for n in range(200)})
    [item] = take(project, a_yaml=yaml.safe_dump(value).encode())
    assert len(item["problems"]) == MAX_LINES + 1
    assert all(len(p) <= 500 for p in item["problems"])


def test_the_log_says_what_was_imported(project, contract):
    take(project, a_yaml=text(), b_yaml=b"")
    said = Activity.objects.get(verb="imported")
    assert said.data == {"import": Import.objects.get().pk, "created": 1, "refused": 1}
