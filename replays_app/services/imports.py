"""Uploads: any number of files and archives to incidents, with a receipt of what became of each.

A broken session stops no other, and each is saved whole or not at all. `file:` and paths of
contracts are followed inside an archive only; `${NAME}` nowhere.
"""

from __future__ import annotations

import pathlib
import posixpath
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Literal

from replays_app.engine.formats.canonical import sha256_of
from replays_app.engine.formats.contract import contract_to_value, read_contract
from replays_app.engine.formats.directory import no_session
from replays_app.engine.formats.document import Document
from replays_app.engine.formats.errors import FormatError, Problem
from replays_app.engine.formats.loading import load_documents
from replays_app.engine.formats.session import read_session, session_to_value
from replays_app.engine.formats.session_file import Located, locate_session
from replays_app.engine.formats.variables import refuse_variables
from replays_app.engine.values import Json
from replays_app.importers.flakestorm_report import is_report
from replays_app.models import Agent, ContractRevision, Import, Project
from replays_app.services import (
    activity,
    archives,
    contracts,
    redaction,
    storable,
    uploaded_reports,
    uploaded_traces,
)
from replays_app.services.archives import MAX_FILE_BYTES
from replays_app.services.errors import Refused
from replays_app.services.incidents import report_incident

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MAX_SESSIONS = 1_000  # of one upload; more would keep a web worker busy for too long
MAX_WORDS = 500  # characters of one problem or note on a receipt
MAX_LINES = 20  # problems or notes of one item
MAX_ITEMS = 3_000

STATUSES = (
    *("created", "new revision", "already here", "in the inbox", "contract saved"),
    *("skipped", "refused"),
)
Status = Literal[
    "created",
    "new revision",
    "already here",
    "in the inbox",
    "contract saved",
    "skipped",
    "refused",
]
CONTRACT = "is a contract"


@dataclass(frozen=True, slots=True)
class Upload:
    name: str
    file: IO[bytes]


@dataclass(frozen=True, slots=True)
class _File:
    """One file, alone or of an archive."""

    name: str  # as the receipt calls it
    data: bytes
    path: pathlib.Path = pathlib.Path("upload")  # inside its archive
    tree: _Tree | None = None


@dataclass(frozen=True, slots=True)
class _Tree:
    """An archive's files, where `file:` and contracts' paths lead."""

    files: dict[str, bytes]

    def find(self, path: pathlib.PurePath) -> bytes | None:
        return self.files.get(posixpath.normpath(path.as_posix()))

    def read(self, path: pathlib.Path) -> bytes:
        data = self.find(path)
        if data is None:
            raise FormatError([Problem("is not in the archive, and nothing outside it is read")])
        return data


@dataclass(slots=True)
class _Receipt:
    project: Project
    actor: User | None
    via: str
    agent: Agent | None
    words: Callable[[str], str]  # redacts a sentence
    items: list[dict[str, Json]] = field(default_factory=list)
    # Of the sessions so far: the file of each, and its content's sha256.
    ids: dict[str, tuple[str, str]] = field(default_factory=dict)
    sessions: int = 0

    def note(
        self,
        source: str,
        status: Status,
        *,
        notes: Iterable[str] = (),
        problems: Iterable[str] = (),
        **more: Json,
    ) -> None:
        # What was refused may be quoted in its problems.
        item: dict[str, Json] = {
            "source": storable.text(self.words(source), MAX_WORDS),
            "status": status,
            "notes": _lines(map(self.words, notes)),
            "problems": _lines(map(self.words, problems)),
        }
        item |= more
        self.items.append(item)

    def refuse(self, source: str, error: FormatError | Refused) -> None:
        problems = error.problems if isinstance(error, FormatError) else [error]
        self.note(source, "refused", problems=map(str, problems))


def take_uploads(
    project: Project,
    uploads: Iterable[Upload],
    *,
    actor: User | None,
    via: str = "upload",
    agent: Agent | None = None,
    save_contracts: bool = False,
) -> Import:
    """The receipt, saved. With `save_contracts` every contract that came along is saved first, as
    the current revision of its name. Nothing in an upload makes this raise."""
    receipt = _Receipt(project, actor, via, agent, redaction.words_of(project))
    files = list(_files(uploads, receipt))
    if save_contracts:
        for file in files:
            _save_contracts(file, receipt)
    for file in files:
        _take_file(file, receipt, contracts_saved=save_contracts)
    dropped = len(receipt.items) - MAX_ITEMS
    if dropped > 0:
        del receipt.items[MAX_ITEMS:]
        receipt.note("", "skipped", notes=[f"{dropped:,} more lines are not kept."])
    row = Import.objects.create(
        project=project, actor=actor, via=via, items=storable.json(receipt.items)
    )
    totals = {s: sum(item["status"] == s for item in row.items) for s in STATUSES}
    said: dict[str, Json] = {"import": row.pk} | {k: n for k, n in totals.items() if n}
    activity.record(project, "imported", actor=actor, **said)
    return row


def _lines(lines: Iterable[str]) -> list[Json]:
    found = [storable.text(line, MAX_WORDS) for line in lines]
    if len(found) > MAX_LINES:
        found[MAX_LINES:] = [f"and {len(found) - MAX_LINES:,} more"]
    return list(found)


def _files(uploads: Iterable[Upload], receipt: _Receipt) -> Iterator[_File]:
    left = archives.Allowance()
    for upload in uploads:
        is_named_zip = upload.name.lower().endswith(".zip")
        if is_named_zip or archives.is_archive(upload.file):
            yield from _files_of_archive(upload, receipt, left)
            continue
        upload.file.seek(0)
        # One byte more than is read: the loader says what is too long, with its limit.
        yield _File(upload.name, upload.file.read(MAX_FILE_BYTES + 1))


def _files_of_archive(
    upload: Upload, receipt: _Receipt, left: archives.Allowance
) -> Iterator[_File]:
    try:
        unpacked = archives.unpack(upload.file, left)
    except archives.BadArchive as error:
        receipt.note(upload.name, "refused", problems=[str(error)])
        return
    for status, left_out in (("refused", unpacked.refused), ("skipped", unpacked.skipped)):
        for path, why in left_out:
            key = "problems" if status == "refused" else "notes"
            receipt.note(f"{upload.name}/{path}", status, **{key: [why]})
    if not (unpacked.files or unpacked.refused):
        why = "holds no YAML or JSON file; pack the directory with the replay files"
        receipt.note(upload.name, "refused", problems=[why])
    tree = _Tree({posixpath.normpath(path): data for path, data in unpacked.files.items()})
    for path in sorted(unpacked.files):
        name = f"{upload.name}/{path}"
        yield _File(name, unpacked.files[path], pathlib.Path(path), tree)


def _documents(file: _File) -> list[Document]:
    return load_documents(file.data, source=file.name)


def _save_contracts(file: _File, receipt: _Receipt) -> None:
    """A file that cannot be read is told of when its sessions are looked for."""
    try:
        documents = _documents(file)
    except FormatError:
        return
    for document in documents:
        try:
            saved = _save_contract(document, receipt)
        except (FormatError, Refused) as error:
            if not is_report(document.value):  # of which its mutations tell again
                receipt.refuse(file.name, error)
            continue
        if saved:
            revision, notes = saved
            receipt.note(
                file.name,
                "contract saved",
                title=revision.contract.name,
                contract=revision.contract_id,
                notes=[f"revision {revision.number} is the current one", *notes],
            )


def _save_contract(
    document: Document, receipt: _Receipt
) -> tuple[ContractRevision, list[str]] | None:
    """None: it holds none. Raises FormatError or Refused."""
    if is_report(document.value):
        return uploaded_reports.save_contract(receipt.project, document, receipt.actor)
    if no_session(document.value) != CONTRACT:
        return None
    value = contract_to_value(read_contract(document.value, document))
    return contracts.save_contract(receipt.project, value, receipt.actor), []


def _take_traces(file: _File, receipt: _Receipt) -> bool:
    """Whether it is a file of traces, which then wait in the inbox."""
    groups = uploaded_traces.traces_in(file.data) if len(file.data) <= MAX_FILE_BYTES else None
    for line in uploaded_traces.put(receipt.project, groups or []):
        key = "problems" if line.status == "refused" else "notes"
        more = {"inbox": line.trace} if line.trace else {}
        said = {key: [line.why] if line.why else []}
        receipt.note(file.name, line.status, title=line.title, **said, **more)
    if groups == []:
        receipt.note(file.name, "refused", problems=["holds no span"])
    return groups is not None


def _take_file(file: _File, receipt: _Receipt, *, contracts_saved: bool) -> None:
    if _take_traces(file, receipt):
        return
    try:
        documents = _documents(file)
    except FormatError as error:
        receipt.refuse(file.name, error)
        return
    if not documents:
        _leave_out(file, receipt, "is empty")
    for document in documents:
        why = no_session(document.value)
        if why == CONTRACT and contracts_saved:
            continue
        if is_report(document.value):
            _take_report(file, document, receipt)
        elif why:
            _leave_out(file, receipt, why)
        else:
            _take_session(file, document, receipt)


def _take_report(file: _File, document: Document, receipt: _Receipt) -> None:
    lines = uploaded_reports.take(
        receipt.project,
        document,
        actor=receipt.actor,
        via=receipt.via,
        agent=receipt.agent,
        most=max(0, MAX_SESSIONS - receipt.sessions),
    )
    try:
        for line in lines:
            more: dict[str, Json] = {}
            if line.incident is not None:
                receipt.sessions += 1
                more = {"incident": line.incident.key, "title": line.incident.title}
            receipt.note(file.name, line.status, notes=line.notes, problems=line.problems, **more)
    except FormatError as error:
        receipt.refuse(file.name, error)


def _leave_out(file: _File, receipt: _Receipt, why: str) -> None:
    """A file of an archive that is no session is left out, one that was chosen itself refused."""
    if why == CONTRACT:
        note = f"{why}; tick “Save contracts that come along” to take it in"
        receipt.note(file.name, "skipped", notes=[note])
    elif file.tree is not None:
        receipt.note(file.name, "skipped", notes=[f"{why}, not a replay session"])
    else:
        problem = f"{why}, not a replay session; docs/formats.md shows one"
        receipt.note(file.name, "refused", problems=[problem])


def _take_session(file: _File, document: Document, receipt: _Receipt) -> None:
    receipt.sessions += 1
    if receipt.sessions > MAX_SESSIONS:
        if receipt.sessions == MAX_SESSIONS + 1:
            why = f"holds more than {MAX_SESSIONS:,} sessions in all; bring the rest in another"
            receipt.note(file.name, "refused", problems=[why])
        return
    notes: list[str] = []
    try:
        located = _located(file, document)
        value = _value(file, located, receipt, notes)
        said = report_incident(
            receipt.project, value, actor=receipt.actor, via=receipt.via, agent=receipt.agent
        )
    except Refused as error:
        line = document.line_of((error.field,)) if error.field else document.line_of(())
        problem = Problem(f"{error.message} {error.remedy}".strip(), error.field, line, file.name)
        receipt.refuse(file.name, FormatError([problem]))
        return
    except FormatError as error:
        receipt.refuse(file.name, error)
        return
    incident = said.incident
    incident.project = receipt.project
    if (
        incident.contract
        and said.status == "new revision"
        and value["contract"]
        not in (
            incident.contract.name,
            contracts.DEFAULT,
        )
    ):
        notes.append(f"{incident.key} stays with its contract {incident.contract.name}.")
    receipt.note(
        file.name,
        said.status,
        incident=incident.key,
        title=incident.title,
        notes=[*notes, *said.notes],
    )


def _located(file: _File, document: Document) -> Located:
    """Raises FormatError."""
    if file.tree is None:
        located = Located(read_session(document.value, document), file.path, document)
    else:
        located = locate_session(document.value, document, (), file.path, read=file.tree.read)
    refuse_variables(session_to_value(located.session), located.document, located.at)
    return located


def _value(file: _File, located: Located, receipt: _Receipt, notes: list[str]) -> dict[str, Json]:
    """What is reported. Raises Refused or FormatError."""
    value = session_to_value(located.session)
    if file.tree is not None:
        value["contract"] = _contract_name(file.tree, located, receipt.project, notes)
    session_id, content = located.session.id, sha256_of(storable.json(value))
    first, same = receipt.ids.setdefault(session_id, (file.name, content))
    if same != content:
        raise Refused(
            f"the id {session_id} is also in {first}, with other content.",
            field="id",
            remedy="Give each its own.",
        )
    return value


def _contract_name(tree: _Tree, located: Located, project: Project, notes: list[str]) -> str:
    """The name that a path inside the archive stands for; any other word is a name already."""
    wanted = located.session.contract
    known = project.contracts.filter(name=wanted).exclude(current=None).exists()
    homes = (pathlib.PurePath(), located.path.parent)
    data = None if known else next((d for h in homes if (d := tree.find(h / wanted))), None)
    if data is None:
        return wanted
    documents = load_documents(data, source=wanted)
    if len(documents) != 1:
        problem = f"holds {len(documents)} documents, must be one contract"
        raise FormatError([Problem(problem, source=wanted)])
    contract = read_contract(documents[0].value, documents[0])
    here = project.contracts.select_related("current").filter(name=contract.name).first()
    if here is None or here.current is None:
        raise Refused(
            f"{wanted} is the contract {contract.name!r}, which this project does not have.",
            field="contract",
            remedy="Tick “Save contracts that come along”, or save it first.",
        )
    if here.current.sha256 != sha256_of(storable.json(contract_to_value(contract))):
        notes.append(f"Judged by the project's contract {here.name}, which differs from {wanted}.")
    mine = project.incidents.filter(session__session_id=located.session.id, contract=here)
    if incident := mine.select_related("session__current").first():
        # It was exported from here, perhaps: its own word for the contract is no change.
        body = incident.session.current.body
        return contract.name if body is None else body["contract"]
    return contract.name
