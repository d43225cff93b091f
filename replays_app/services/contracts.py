"""Contracts: one row a name, one revision a content."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from replays_app.engine.formats.canonical import sha256_of
from replays_app.engine.formats.contract import Contract as Parsed
from replays_app.engine.formats.contract import contract_to_value, read_contract
from replays_app.engine.formats.document import Document
from replays_app.engine.formats.errors import FormatError, Problem
from replays_app.engine.formats.loading import load_documents
from replays_app.engine.formats.validation import did_you_mean
from replays_app.engine.formats.writing import to_yaml
from replays_app.engine.values import Json
from replays_app.models import Contract, ContractRevision, Project
from replays_app.services import activity, states, storable, waking
from replays_app.services.errors import Refused

if TYPE_CHECKING:
    from django.contrib.auth.models import User

DEFAULT = "default"  # flakestorm's placeholder: the one contract that there is
TEXT = "text"  # how problems call what was typed
MAX_NAME = 200  # characters; the column's width


def save_contract(
    project: Project,
    value: Json,
    actor: User | None,
    *,
    source: str = "payload",
    text: str = "",
) -> ContractRevision:
    """The revision with this content, made if it is new, and current from now on. Raises Refused.

    A content that was there before gets its old revision back, and with it what it judged. `text`
    is how a person wrote it, with comments; the editor shows it again.
    """
    body = _body(value, source)
    with transaction.atomic():
        contract, _ = _locked(project).get_or_create(project=project, name=body["name"])
        return _make_current(contract, body, actor, text)


def save_text(
    project: Project,
    text: str,
    actor: User | None,
    *,
    contract: Contract | None = None,
    base: int | None = None,
) -> ContractRevision:
    """What the editor saves: a contract that is new, or the next revision of `contract`.

    `base` is the id of the revision that the editor was opened with. Raises Refused: for each
    problem of the text; if the name is another contract's, or another than `contract` has; if
    `contract` got another revision meanwhile (field `base`).
    """
    try:
        value = contract_to_value(read_text(text))
    except FormatError as error:
        raise Refused.from_format(error) from error
    body = _body(value, TEXT)
    with transaction.atomic():
        if contract is None:
            row, is_new = _locked(project).get_or_create(project=project, name=body["name"])
            if not is_new:
                raise Refused(
                    f"A contract {row.name!r} is here already.",
                    field="name",
                    remedy="Edit that one, or give this one another name.",
                )
        else:
            row = _locked(project).select_related("current").get(pk=contract.pk)
            if body["name"] != row.name:
                raise _renamed(row, body["name"])
            if base != row.current_id:
                raise _overtaken(row, base)
        return _make_current(row, body, actor, text)


def read_text(text: str) -> Parsed:
    """The one contract of a YAML or JSON text. Raises FormatError with every problem."""
    documents = load_documents(text.encode("utf-8", "surrogatepass"), source=TEXT)
    if len(documents) != 1:
        found = f"holds {len(documents)} documents (divided by ---)" if documents else "is empty"
        raise FormatError([Problem(f"{found}; write one contract", source=TEXT)])
    parsed = read_contract(documents[0].value, documents[0])
    if len(parsed.name) > MAX_NAME:
        path = ("name",) if "name" in documents[0].value else ("contract", "name")
        length = f"has {len(parsed.name)} characters, limit {MAX_NAME}"
        raise documents[0].error(path, f"{length}; give the contract a shorter name")
    return parsed


def text_of(revision: ContractRevision) -> str:
    """What the editor shows: as it was typed, or written out."""
    return revision.text or to_yaml(revision.body)


def _body(value: Json, source: str) -> dict[str, Json]:
    try:
        body: dict[str, Json] = storable.json(
            contract_to_value(read_contract(value, Document(value, source)))
        )
    except FormatError as error:
        raise Refused.from_format(error) from error
    if len(body["name"]) > MAX_NAME:
        raise Refused(
            f"name has {len(body['name'])} characters, limit {MAX_NAME}.",
            field="name",
            remedy="Give the contract a shorter name.",
        )
    return body


def _locked(project: Project) -> QuerySet[Contract]:
    return project.contracts.select_for_update(no_key=True, of=("self",))


def _renamed(contract: Contract, name: str) -> Refused:
    return Refused(
        f"The name is {name!r}, and this contract is {contract.name!r}. Recordings and "
        "configuration files ask for it by that name, so it stays.",
        field="name",
        remedy="Write the old name, or save the text as a new contract.",
    )


def _overtaken(contract: Contract, base: int | None) -> Refused:
    now = contract.current
    opened = contract.revisions.filter(pk=base).first()
    return Refused(
        f"r{now.number} was saved by {now.created_by or 'flakestorm'} after you had opened "
        f"{f'r{opened.number}' if opened else 'another one'}.",
        field="base",
        remedy=f"Your text is kept. See what r{now.number} changed, then save again: that makes "
        "your text the newest revision.",
    )


def _make_current(
    contract: Contract, body: dict[str, Json], actor: User | None, text: str
) -> ContractRevision:
    """The caller holds the contract's lock."""
    before = contract.current_id
    sha = sha256_of(body)
    revision = contract.revisions.filter(sha256=sha).first()
    if revision is None:
        revision = _append(contract, body, sha, actor, text)
    elif text and text != text_of(revision):
        # Other comments, the same checks: what it judged stays true.
        revision.text = storable.text(text)
        revision.save(update_fields=["text"])
        _record(contract, revision, "contract text changed", actor)
    contract.current = revision
    if revision.pk != before:
        contract.save(update_fields=["current"])
        _record(contract, revision, "contract saved", actor)
        for incident in contract.incidents.select_for_update(no_key=True).order_by("pk"):
            states.refresh(incident)
        if revision.number > 1 or before:
            waking.by_revisions([revision.pk])
            revision.rejudged_at = None
    return revision


def _append(
    contract: Contract, body: dict[str, Json], sha: str, actor: User | None, text: str
) -> ContractRevision:
    last = contract.revisions.order_by("-number").first()
    return ContractRevision.objects.create(
        contract=contract,
        number=last.number + 1 if last else 1,
        body=body,
        sha256=sha,
        text=storable.text(text),
        created_by=actor,
        # Before a contract's first revision nothing can have been judged by it.
        rejudged_at=None if last else timezone.now(),
    )


def _record(contract: Contract, revision: ContractRevision, verb: str, actor: User | None) -> None:
    activity.record(
        contract.project, verb, actor=actor, contract=contract.name, revision=revision.number
    )


def contract_of(revision: ContractRevision) -> Parsed:
    """What the engine judges by. Raises FormatError if the stored body is no contract any more."""
    return read_contract(revision.body, Document(revision.body, str(revision)))


def find(project: Project, name: str) -> Contract:
    """The project's contract that a recording names. Raises Refused, naming what there is."""
    known = list(project.contracts.exclude(current=None).order_by("name"))
    for contract in known:
        if contract.name == name:
            return contract
    names = [contract.name for contract in known]
    if name == DEFAULT and len(known) == 1:
        return known[0]
    if not known:
        raise Refused(
            f"contract {name!r} is not known: this project has no contract yet.",
            field="contract",
            remedy="Save a contract first.",
        )
    if name == DEFAULT:
        raise Refused(
            f"contract 'default' means the project's only contract, and it has {len(known)}.",
            field="contract",
            remedy=f"Name one of: {', '.join(names)}.",
        )
    raise Refused(
        f"contract {name!r} is not known{did_you_mean(name, names)}.",
        field="contract",
        remedy=f"Known here: {', '.join(names)}.",
    )
