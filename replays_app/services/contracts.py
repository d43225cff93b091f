"""Contracts: one row a name, one revision a content."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from replays_app.engine.formats.canonical import sha256_of
from replays_app.engine.formats.contract import Contract as Parsed
from replays_app.engine.formats.contract import contract_to_value, read_contract
from replays_app.engine.formats.document import Document
from replays_app.engine.formats.errors import FormatError
from replays_app.engine.formats.validation import did_you_mean
from replays_app.engine.values import Json
from replays_app.models import Contract, ContractRevision, Project
from replays_app.services import activity, states, storable
from replays_app.services.errors import Refused

if TYPE_CHECKING:
    from django.contrib.auth.models import User

DEFAULT = "default"  # flakestorm's placeholder: the one contract that there is


def save_contract(
    project: Project, value: Json, actor: User | None, *, source: str = "payload"
) -> ContractRevision:
    """The revision with this content, made if it is new, and current from now on. Raises Refused.

    A content that was there before gets its old revision back, and with it what it judged.
    """
    try:
        body = storable.json(contract_to_value(read_contract(value, Document(value, source))))
    except FormatError as error:
        raise Refused.from_format(error) from error
    sha = sha256_of(body)
    with transaction.atomic():
        contract, _ = Contract.objects.select_for_update(no_key=True).get_or_create(
            project=project, name=body["name"]
        )
        before = contract.current_id
        contract.current = contract.revisions.filter(sha256=sha).first() or _append(
            contract, body, sha, actor
        )
        if contract.current_id != before:
            contract.save(update_fields=["current"])
            activity.record(
                project,
                "contract saved",
                actor=actor,
                contract=contract.name,
                revision=contract.current.number,
            )
            for incident in contract.incidents.select_for_update(no_key=True).order_by("pk"):
                states.refresh(incident)
    return contract.current


def _append(
    contract: Contract, body: dict[str, Json], sha: str, actor: User | None
) -> ContractRevision:
    last = contract.revisions.order_by("-number").first()
    return ContractRevision.objects.create(
        contract=contract,
        number=last.number + 1 if last else 1,
        body=body,
        sha256=sha,
        created_by=actor,
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
