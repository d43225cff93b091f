"""--save, against the dashboard's models and services."""

import json
import subprocess
from pathlib import Path

import pytest
from django.apps import apps

from replays_app.cli import saving
from replays_app.cli.main import run
from replays_app.models import Agent, AgentVersion, Contract, Incident, Project, Run
from replays_app.services.contracts import save_contract
from replays_app.services.setup import set_up
from tests.cli.support import COMMAND, INCIDENT, config, environment

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]


@pytest.fixture
def project() -> Project:
    project = set_up().project
    agent = Agent.objects.create(project=project, name="finance", origin=Agent.Origin.OPERATOR)
    for label in ("v1", "v2"):
        AgentVersion.objects.create(agent=agent, label=label, has_own_start=True)
    return project


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flakestorm.yaml").write_text(config("buggy"))
    (tmp_path / "incident.yaml").write_text(INCIDENT)
    return tmp_path


def save(*words: str) -> int:
    return run(["replay", "run", "incident.yaml", "--save", *words])


def test_incident_contract_run_and_attempts_are_saved(
    project: Project, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert save("--agent-version", "v1", "--attempts", "2") == 1
    assert "saved in project default: INC-1 (run " in capsys.readouterr().err
    incident = Incident.objects.get(project=project)
    assert (incident.key, incident.title) == ("INC-1", "Prod incident: fabricated revenue figure")
    saved = Run.objects.get(incident=incident)
    assert (saved.via, saved.status, saved.outcome) == ("cli", "finished", "failed")
    assert (saved.version.label, saved.failed, saved.attempts.count()) == ("v1", 2, 2)
    assert saved.contract_revision.contract.name == "Finance Agent Contract"


def test_the_same_recording_again_is_another_run_of_the_same_incident(
    project: Project, folder: Path
) -> None:
    save("--agent-version", "v1")
    (folder / "flakestorm.yaml").write_text(config("fixed"))
    assert save("--agent-version", "v2") == 0
    assert (Incident.objects.count(), Contract.objects.count()) == (1, 1)
    assert list(Run.objects.order_by("pk").values_list("version__label", "outcome")) == [
        ("v1", "failed"),
        ("v2", "passed"),
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--save needs the version under test: give --agent-version"),
        (["--agent-version", "v3"], "knows no version v3; add it to the operator's agents.yaml"),
        (["--agent-version", "v1", "--project", "other"], "no such project; known: default"),
    ],
)
def test_what_cannot_be_saved_is_refused_before_the_replay(
    words: list[str],
    said: str,
    project: Project,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert save(*words) == 2
    assert said in capsys.readouterr().err
    assert not (folder / "seen").exists()
    assert not Incident.objects.exists()


def test_a_label_of_two_agents_names_both(
    project: Project, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Agent.objects.create(project=project, name="support", origin=Agent.Origin.OPERATOR)
    AgentVersion.objects.create(agent=other, label="v1")
    assert save("--agent-version", "v1") == 2
    assert "v1 is a version of finance and support" in capsys.readouterr().err


def test_a_result_judged_by_another_contract_is_not_counted_for_the_incident(
    project: Project, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save("--agent-version", "v1")
    for name in ("flakestorm.yaml", "incident.yaml"):
        text = (folder / name).read_text().replace("Finance Agent Contract", "Another")
        (folder / name).write_text(text)
    assert save("--agent-version", "v1") == 1
    assert "INC-1 is held to the contract Finance Agent Contract" in capsys.readouterr().err
    assert Run.objects.count() == 1


def test_a_database_that_was_never_set_up_is_one_line_and_2(folder: Path, tmp_path: Path) -> None:
    line = [*COMMAND, "replay", "run", "incident.yaml", "--save", "--agent-version", "v1"]
    given = {"FLAKESTORM_DATA": str(tmp_path), "DJANGO_SETTINGS_MODULE": "flakestorm_web.settings"}
    for key, said in (("", "FLAKESTORM_SECRET_KEY"), ("x" * 40, "no such table")):
        done = subprocess.run(
            line,
            cwd=folder,
            env=environment(**given, FLAKESTORM_SECRET_KEY=key, DATABASE_URL=""),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2, done.stderr
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_a_recording_that_the_dashboard_has_moved_on_from_is_not_counted(
    project: Project, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for content in (INCIDENT, INCIDENT + 'recorded_output: "$4"\n', INCIDENT):
        (folder / "incident.yaml").write_text(content)
        assert save("--agent-version", "v1") == 1
    assert "INC-1 has a newer recording in the dashboard" in capsys.readouterr().err
    assert Run.objects.count() == 2


SAME = "name: Same\ninvariants: [{{id: {id}, type: contains, value: '{id}'}}]\n"


def test_two_contracts_of_one_name_do_not_count_for_each_other(
    project: Project, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("first", "second"):
        (folder / f"{name}.contract.yaml").write_text(SAME.format(id=name))
        text = INCIDENT.replace("Finance Agent Contract", f"{name}.contract.yaml")
        session_id = next(line for line in text.splitlines() if line.startswith("id:"))
        (folder / f"{name}.yaml").write_text(text.replace(session_id, f"id: {name}"))
    words = ["first.yaml", "second.yaml", "--save", "--agent-version", "v1"]
    assert run(["replay", "run", *words]) == 1
    assert "second: Two contracts of this replay are called Same" in capsys.readouterr().err
    saved = Run.objects.get()
    assert [c["id"] for c in saved.attempts.get().judgements.get().checks] == ["first"]
    assert [i["id"] for i in saved.contract_revision.body["invariants"]] == ["first"]


def test_a_contract_that_was_revised_while_the_results_are_saved_counts_for_nothing(
    project: Project, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    save("--agent-version", "v1")
    contract = Contract.objects.get()
    value = contract.current.body | {"description": "revised"}
    check = saving._check_same

    def revised_meanwhile(*given):
        save_contract(project, value, None)
        check(*given)

    monkeypatch.setattr(saving, "_check_same", revised_meanwhile)
    assert save("--agent-version", "v1") == 1
    assert "was revised while the results were saved" in capsys.readouterr().err
    assert Run.objects.count() == 1


SECRET, CARD = "ada.lovelace@example.com", "4111 1111 1111 1111"


def test_what_is_replayed_for_a_project_is_what_it_stores(
    project: Project, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The agent answers with what it was asked: the answer has no more than the recording."""
    said = INCIDENT.replace("What was", f"I am {SECRET}, {CARD}. What was")
    said = said.replace("Connection reset", f"Connection of {SECRET} reset")
    (folder / "incident.yaml").write_text(said)
    (folder / "flakestorm.yaml").write_text(config("echo"))
    assert save("--agent-version", "v1") == 0
    err = capsys.readouterr().err
    assert "redacted before the replay, as the project says: 2 emails, 1 card" in err

    evidence = Run.objects.get().attempts.get().payload.evidence
    assert evidence["answer"].startswith("According to you: I am ")
    assert "@redacted.invalid" in evidence["answer"]
    incident = Incident.objects.get()
    assert incident.session.current.receipt["redactions"] == {"email": 2, "card": 1}
    stored = "".join(
        json.dumps(list(model.objects.values()), default=str)
        for model in apps.get_app_config("replays_app").get_models()
    )
    assert SECRET not in stored
    assert CARD not in stored
    assert save("--agent-version", "v1") == 0
    assert Incident.objects.count() == 1


def test_rules_that_cannot_be_read_stop_before_the_replay(
    project: Project, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project.redaction = {"off": ["nonsense"]}
    project.save()
    assert save("--agent-version", "v1") == 2
    assert "redaction rules cannot be read" in capsys.readouterr().err
    assert not (folder / "seen").exists()
