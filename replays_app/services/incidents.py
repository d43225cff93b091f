"""Incidents: reported once, then triaged. Form, upload, API and CLI all come here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import transaction

from replays_app.engine.values import Json
from replays_app.models import Activity, Agent, Contract, Incident, Project, SessionRevision
from replays_app.services import activity, contracts, redaction, sessions, states, storable, waking
from replays_app.services.errors import Refused

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MAX_COMMENT = 20_000  # characters
MAX_TITLE = 300  # characters; the column's width
MAX_SOURCE = 50  # characters; the column's width
MAX_TAGS = 20  # of one incident
MAX_TAG = 50  # characters


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a report: the incident, whether it was new, and what was lost or assumed."""

    incident: Incident
    status: sessions.Status
    notes: tuple[str, ...] = ()
    redactions: dict[str, int] = field(default_factory=dict)  # how many values of which kind


def report_incident(
    project: Project,
    payload: Json,
    *,
    actor: User | None,
    via: str,
    agent: Agent | None = None,
    contract: Contract | None = None,
    title: str | None = None,
    severity: str | None = None,
    tags: Sequence[str] = (),
    lenient: bool = False,
    receipt: dict[str, Json] | None = None,
    may_lack_contract: bool = False,
) -> Receipt:
    """Takes a replay-file value in. `contract` and `agent` overrule what the payload and the
    project say. The same content again is "already here"; other content under a known id is a new
    revision of that incident. `receipt` as in sessions.freeze. With `may_lack_contract` (imports:
    nobody wrote one) `contract: default` finds none where the project has not exactly one, and the
    incident needs one before it can be replayed. Raises Refused.
    """
    _check_severity(severity)
    labels = check_tags(tags)
    _same_project(project, agent, "agent")
    _same_project(project, contract, "contract")
    with transaction.atomic():
        # One report at a time in a project: numbers have no holes and no doubles.
        project = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        frozen = sessions.freeze(
            project, payload, actor=actor, source=via, lenient=lenient, receipt=receipt
        )
        body, notes = frozen.revision.body, list(frozen.notes)
        known = Incident.objects.filter(session=frozen.revision.session).first()
        if known:
            if frozen.status == "new revision":
                take_revision(known, frozen.before, frozen.revision, actor)
            return Receipt(known, frozen.status, tuple(notes), frozen.redactions)
        contract = contract or _contract(project, body["contract"], may_lack_contract, notes)
        title, labels = _redacted(project, title, labels)
        if agent is None:
            agent = _only_agent(project)
            if agent:
                notes.append(f"agent: {agent.name}, the only one here.")
        project.last_incident_number += 1
        project.save(update_fields=["last_incident_number"])
        incident = Incident.objects.create(
            project=project,
            number=project.last_incident_number,
            title=_title(title, body),
            severity=severity or Incident.Severity.MEDIUM,
            tags=labels,
            expected_failure=body.get("expected_failure", ""),
            source=storable.text(body.get("source", "manual"), MAX_SOURCE),
            session=frozen.revision.session,
            agent=agent,
            contract=contract,
        )
        activity.record(project, "reported", actor=actor, incident=incident, via=via)
    return Receipt(incident, "created", tuple(notes), frozen.redactions)


def _redacted(project: Project, title: str | None, tags: list[str]) -> tuple[str | None, list[str]]:
    """What is said beside the recording loses what the recording loses."""
    if not (title or tags):
        return title, tags
    redactor = redaction.redactor(project)
    return title and redactor.text(title), [storable.text(redactor.text(t), MAX_TAG) for t in tags]


def _contract(
    project: Project, name: str, may_lack_contract: bool, notes: list[str]
) -> Contract | None:
    """Raises Refused where nothing has this name."""
    try:
        contract = contracts.find(project, name)
    except Refused:
        if name != contracts.DEFAULT or not may_lack_contract:
            raise
        notes.append("Needs a contract: choose one on its page, then it can be replayed.")
        return None
    if name == contracts.DEFAULT:
        notes.append(f"contract default: {contract.name}, the only one here.")
    return contract


def edit_details(
    incident: Incident,
    *,
    title: str,
    severity: str,
    tags: Sequence[str],
    expected_failure: str,
    actor: User | None,
    before: Mapping[str, Any] | None = None,
) -> None:
    """What people say of an incident; its recording is no part of it. With `before`, the values
    that the person started from, only what differs from them is changed, of the tags each one by
    itself: what another person did meanwhile stays. Raises Refused."""
    _check_severity(severity)
    values = _details(title, severity, tags, expected_failure)
    seen = {} if before is None else _details(**before, is_checked=False)
    values |= _without_personal(incident.project, values, seen)
    if not values["title"]:
        raise Refused("The title is empty.", field="title", remedy="Say what went wrong.")
    for name, most in (("title", MAX_TITLE), ("expected_failure", MAX_COMMENT)):
        if len(values[name]) > most:
            raise Refused(f"It has {len(values[name]):,} characters, limit {most:,}.", field=name)
    with transaction.atomic():
        row = _locked(incident)
        if seen:
            values = _merged(row, values, seen)
        changed = [name for name, value in values.items() if getattr(row, name) != value]
        for name in changed:
            setattr(row, name, values[name])
        if changed:
            row.save(update_fields=[*changed, "updated_at"])
            words = ", ".join(name.replace("_", " ") for name in changed)
            _record(row, "edited", actor, changed=words)
    for name in ("title", "severity", "tags", "expected_failure"):
        setattr(incident, name, getattr(row, name))


def _details(
    title: str,
    severity: str,
    tags: Sequence[str],
    expected_failure: str,
    *,
    is_checked: bool = True,
) -> dict[str, Any]:
    """As they are stored. Raises Refused for a tag that is none, if they are checked."""
    return {
        "title": storable.text(" ".join(title.split())),
        "severity": severity,
        "tags": check_tags(tags) if is_checked else list(map(_plain_tag, tags)),
        "expected_failure": storable.text(expected_failure).strip(),
    }


def _without_personal(
    project: Project, values: dict[str, Any], seen: dict[str, Any]
) -> dict[str, Any]:
    """What is new in the values, as it may be stored. Raises Refused."""
    redactor = redaction.redactor(project)
    texts = {n: values[n] for n in ("title", "expected_failure") if values[n] != seen.get(n)}
    known = seen.get("tags", ())
    tags = [t if t in known else storable.text(redactor.text(t), MAX_TAG) for t in values["tags"]]
    return {**{name: redactor.text(text) for name, text in texts.items()}, "tags": tags}


def _merged(row: Incident, wanted: dict[str, Any], seen: dict[str, Any]) -> dict[str, Any]:
    """What the person changed, laid over the row as it is now. Raises Refused."""
    values = {name: value for name, value in wanted.items() if value != seen[name]}
    if "tags" in values:
        gone = set(seen["tags"]) - set(wanted["tags"])
        new = [tag for tag in wanted["tags"] if tag not in seen["tags"]]
        # Those of the row may be older than the rule.
        values["tags"] = _bounded([*(tag for tag in row.tags if tag not in gone), *new])
    return values


def check_tags(tags: Sequence[str]) -> list[str]:
    """In their order, each once. The one rule for every door. Raises Refused."""
    known = list(dict.fromkeys(filter(None, map(_plain_tag, tags))))
    for tag in known:
        if len(tag) > MAX_TAG or not tag.isprintable() or "," in tag:
            odd = (
                f"has {len(tag)} characters"
                if len(tag) > MAX_TAG
                else "has characters that a tag cannot have"
            )
            raise Refused(
                f"The tag {tag[:40]!r} {odd}.",
                field="tags",
                remedy=f"Use 1 to {MAX_TAG} visible characters, without commas.",
            )
    return _bounded(known)


def _bounded(tags: list[str]) -> list[str]:
    known = list(dict.fromkeys(tags))
    if len(known) > MAX_TAGS:
        remedy = "Remove one of them first."
        raise Refused(f"{len(known)} tags, limit {MAX_TAGS}.", field="tags", remedy=remedy)
    return known


def _plain_tag(tag: str) -> str:
    return storable.text(" ".join(tag.split()))


def set_state(incident: Incident, state: str, actor: User | None) -> None:
    """A person's word; any state may follow any. Raises Refused for a state that does not exist."""
    if state not in Incident.State.values:
        known = ", ".join(Incident.State.values)
        raise Refused(f"{state!r} is no state.", field="state", remedy=f"One of: {known}.")
    with transaction.atomic():
        row = _locked(incident)
        if row.state != state:
            before, row.state = row.state, state
            row.state_version = states.production_version(row)
            row.save(update_fields=["state", "state_version", "updated_at"])
            _record(row, "state changed", actor, before=before, after=state)
    incident.state, incident.state_version = row.state, row.state_version


def assign(incident: Incident, owner: User | None, actor: User | None) -> None:
    """Gives the incident an owner from the project, or none. Raises Refused for a stranger."""
    members = incident.project.memberships
    if owner and not owner.is_superuser and not members.filter(user=owner).exists():
        raise Refused(
            f"{owner} is no member of {incident.project}.",
            field="owner",
            remedy="Choose a member, or let an admin add this person to the project.",
        )
    with transaction.atomic():
        row = _locked(incident)
        if row.owner != owner:
            before, row.owner = row.owner, owner
            row.save(update_fields=["owner", "updated_at"])
            _record(
                row,
                "assigned",
                actor,
                before=before.get_username() if before else "",
                after=owner.get_username() if owner else "",
            )
    incident.owner = owner


def set_contract(incident: Incident, contract: Contract, actor: User | None) -> None:
    """Has another contract judge the incident: what is stored of its replays anew, and all that
    follow. Target checks that the new contract does not have are dropped. Raises Refused."""
    _same_project(incident.project, contract, "contract")
    if contract.current is None:
        raise Refused(f"{contract} has no revision.", field="contract", remedy="Choose another.")
    with transaction.atomic():
        row = _locked(incident)
        if row.contract_id != contract.pk:
            before = row.contract
            row.contract = contract
            known = [i.id for i in contracts.contract_of(contract.current).invariants]
            row.target_checks = [i for i in known if i in row.target_checks]
            row.save(update_fields=["contract", "target_checks", "updated_at"])
            _record(
                row,
                "contract chosen",
                actor,
                before=before.name if before else "",
                after=contract.name,
            )
            states.refresh(row)
            waking.by_revisions([contract.current_id])
    incident.contract, incident.target_checks = row.contract, row.target_checks
    incident.refresh_from_db(fields=["verdict", "headline", "state"])


def set_agent(incident: Incident, agent: Agent, actor: User | None) -> None:
    """Which agent failed. Raises Refused once it was replayed: its runs are of that agent."""
    _same_project(incident.project, agent, "agent")
    if agent.retired_at:
        raise Refused(
            f"{agent} is no longer in the operator's agents file.",
            field="agent",
            remedy="Choose another one, or add it there again.",
        )
    with transaction.atomic():
        row = _locked(incident)
        if row.agent_id == agent.pk:
            return
        if row.agent_id and row.runs.exists():
            raise Refused(
                f"This incident was replayed against {row.agent} already.",
                field="agent",
                remedy="Report the recording again for another agent.",
            )
        before, row.agent = row.agent, agent
        row.save(update_fields=["agent", "updated_at"])
        _record(row, "agent set", actor, before=before.name if before else "", after=agent.name)
        states.refresh(row)
    incident.agent = agent


def set_target_checks(incident: Incident, ids: Sequence[str], actor: User | None) -> None:
    """The checks whose failure is this incident, for want of a recorded answer that shows them."""
    if incident.contract is None:
        raise Refused("This incident has no contract.", field="target_checks")
    known = [i.id for i in contracts.contract_of(incident.contract.current).invariants]
    unknown = [i for i in ids if i not in known]
    if unknown:
        raise Refused(
            f"{', '.join(unknown)}: no check of {incident.contract}.",
            field="target_checks",
            remedy=f"Its checks: {', '.join(known)}.",
        )
    with transaction.atomic():
        row = _locked(incident)
        chosen = [i for i in known if i in ids]
        if row.target_checks != chosen:
            row.target_checks = chosen
            row.save(update_fields=["target_checks", "updated_at"])
            _record(row, "target checks chosen", actor, checks=chosen)
    incident.target_checks = row.target_checks


def comment(incident: Incident, text: str, actor: User | None) -> Activity:
    """A remark in the incident's log. Raises Refused when it is blank or too long."""
    text = storable.text(text).strip()
    if not text:
        raise Refused("The comment is empty.", field="text", remedy="Write something first.")
    if len(text) > MAX_COMMENT:
        raise Refused(
            f"The comment has {len(text):,} characters, limit {MAX_COMMENT:,}.", field="text"
        )
    return _record(incident, "commented", actor, text=text)


def _record(incident: Incident, verb: str, actor: User | None, **data: Json) -> Activity:
    return activity.record(incident.project, verb, actor=actor, incident=incident, **data)


def _locked(incident: Incident) -> Incident:
    return (
        Incident.objects.select_for_update(no_key=True, of=("self",))
        .select_related("project", "owner", "agent")
        .get(pk=incident.pk)
    )


def take_revision(
    incident: Incident,
    before: SessionRevision,
    after: SessionRevision,
    actor: User | None,
) -> None:
    """What follows for the incident when its recording changed: the verdict is that of the new one,
    and what it took from the recording goes with it. The caller holds the session's lock."""
    row = _locked(incident)
    said = {} if before.body is None else before.body
    if row.expected_failure == said.get("expected_failure", ""):
        row.expected_failure = after.body.get("expected_failure", "")
    row.save(update_fields=["expected_failure", "updated_at"])
    _record(row, "recording revised", actor, revision=after.number, note=after.note)
    states.refresh(row)
    incident.refresh_from_db()


def _same_project(project: Project, row: Agent | Contract | None, field: str) -> None:
    if row is not None and row.project_id != project.pk:
        raise Refused(f"{row} belongs to another project.", field=field)


def _check_severity(severity: str | None) -> None:
    if severity is not None and severity not in Incident.Severity.values:
        known = ", ".join(Incident.Severity.values)
        raise Refused(f"{severity!r} is no severity.", field="severity", remedy=f"One of: {known}.")


def _only_agent(project: Project) -> Agent | None:
    agents = list(project.agents.filter(retired_at=None)[:2])
    return agents[0] if len(agents) == 1 else None


def _title(title: str | None, body: dict[str, Json]) -> str:
    """The given title, else the recording's name, else what it says first."""
    said = body["input"] if isinstance(body["input"], str) else body["input"][-1]["content"]
    for text in (title, body.get("name"), body.get("expected_failure"), said):
        if isinstance(text, str) and (first := text.strip().partition("\n")[0].strip()):
            return storable.text(first, MAX_TITLE)
    return storable.text(body["id"], MAX_TITLE)
