"""Many recordings as a zip that the command line replays and the import page takes back."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, field
from typing import IO

from django.db.models import QuerySet
from django.utils.text import slugify

from replays_app.engine.formats.writing import to_yaml
from replays_app.importers import wording
from replays_app.models import ContractRevision, Incident, Project
from replays_app.services import contracts, sessions

MAX_INCIDENTS = 1_000
MAX_BYTES = 100 * 1024 * 1024  # of the files before they are packed
NOTES = "NOTES.txt"  # by its name no replay file, so that a replay leaves it alone
_AT_ONCE = 20  # recordings in memory


@dataclass(slots=True)
class Exported:
    count: int = 0
    bytes: int = 0
    left_out: list[str] = field(default_factory=list)  # and why
    partial: list[str] = field(default_factory=list)  # what came in without some of it
    contracts: dict[int, str] = field(default_factory=dict)  # revision id to path


def write_archive(project: Project, found: QuerySet[Incident], into: IO[bytes]) -> Exported:
    """Each incident's current recording, with its contract by path, and notes on both.

    The contract is named by its path instead of its name: so the replay is judged by the one that
    comes along, whatever the configuration at hand calls by that name.
    """
    done = Exported()
    rows = found.select_related("session__current", "contract__current").order_by("number")
    total = rows.count()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as archive:
        for incident in rows[:MAX_INCIDENTS].iterator(chunk_size=_AT_ONCE):
            incident.project = project
            _add(archive, incident, done)
        if total > MAX_INCIDENTS:
            rest = f"{total - MAX_INCIDENTS:,} incidents after the first {MAX_INCIDENTS:,}"
            done.left_out.append(f"{rest}: filter the list and export it in parts")
        archive.writestr(NOTES, _notes(project, done))
    return done


def _add(archive: zipfile.ZipFile, incident: Incident, done: Exported) -> None:
    body = incident.session.current.body
    if body is None:
        done.left_out.append(f"{incident.key}: its recording was erased")
        return
    contract = incident.contract.current if incident.contract else None
    if contract is not None:
        body = {**body, "contract": _contract(archive, contract, done)}
    text = to_yaml(body).encode("utf-8", "surrogatepass")
    if done.bytes + len(text) > MAX_BYTES:
        done.left_out.append(f"{incident.key}: the archive is full; export it on its own")
        return
    if contract is None:
        done.left_out.append(f"the contract of {incident.key}: it has none here")
    archive.writestr(f"{incident.key}.yaml", text)
    receipt = sessions.receipt(incident.session.current)
    if receipt.get("completeness") != "full":
        done.partial.append(f"{incident.key}: {wording.headline(receipt)}")
    done.bytes += len(text)
    done.count += 1


def _contract(archive: zipfile.ZipFile, revision: ContractRevision, done: Exported) -> str:
    """Its path in the archive, where it is written once."""
    path = done.contracts.get(revision.pk)
    if path is None:
        name = slugify(revision.contract.name)[:60] or "contract"
        path = f"contracts/{name}-{revision.contract_id}-r{revision.number}.yaml"
        text = contracts.text_of(revision).encode("utf-8", "surrogatepass")
        archive.writestr(path, text)
        done.contracts[revision.pk] = path
        done.bytes += len(text)
    return path


def _notes(project: Project, done: Exported) -> str:
    lines = [
        f"{done.count:,} incidents of {project.name}, with the contracts that judge them.",
        "",
        "Replay them against the agent of a configuration (docs/cli.md):",
        "",
        "    flakestorm replay run . -c path/to/flakestorm.yaml",
        "",
        "Or take them into another project on its page Import, with its contracts.",
    ]
    if done.partial:
        lines += ["", "Not whole as they were recorded:", "", *(f"- {p}" for p in done.partial)]
    if done.left_out:
        lines += ["", "Left out:", "", *(f"- {line}" for line in done.left_out)]
    return "\n".join(lines) + "\n"
