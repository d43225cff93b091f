"""What is precomputed on an incident: its verdict, its headline, and the state that follows."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db.models import Q

from replays_app.engine.values import Outcome
from replays_app.engine.verdict import Verdict
from replays_app.models import (
    AS_RECORDED,
    AgentVersion,
    Count,
    Deployment,
    Incident,
    Judgement,
    Run,
)
from replays_app.services import activity, counts, storable, versions

HEADLINE = 300  # characters; the column's width
STRIP = 50  # runs; the column's width
Starts = dict[int, datetime]


def refresh(incident: Incident, *, deployed: Collection[int] = ()) -> None:
    """Brings verdicts, headline and state up to date, and saves; the caller holds the row's lock.

    Only news moves the state: a verdict that is reached now, or a version (`deployed`, by id) that
    goes to production now. So what a person set by hand stays until something happens.
    """
    found = _counts(incident)
    news = _judge(found) | set(deployed)
    starts = versions.production_starts(incident.agent) if incident.agent else {}
    shown = next((c for c in reversed(found) if c.judged or c.unjudged), None)
    if shown is not None:
        incident.verdict = shown.verdict
        incident.verdict_version = shown.version
        incident.headline = storable.text(_headline(shown, found, starts), HEADLINE)
    else:
        _keep_old_word(incident)
    _move(incident, [c for c in found if c.version_id in news], starts)
    incident.save(
        update_fields=[
            "verdict",
            "verdict_version",
            "headline",
            "state",
            "state_version",
            "updated_at",
        ]
    )


def note_run(incident: Incident, run: Run) -> None:
    """An ended run's mark on its incident: strip, counter, and whether it confirms a new one (a
    state that `refresh`, which follows, saves). The caller holds the row's lock."""
    incident.runs_count += 1
    incident.last_run_at = run.finished_at
    if run.outcome:
        incident.strip = (incident.strip + Run.LETTERS[run.outcome])[-STRIP:]
    incident.save(update_fields=["runs_count", "last_run_at", "strip"])
    if incident.state == Incident.State.NEW and _confirms(incident, run):
        _set(incident, Incident.State.CONFIRMED, None)


def deployed_to_production(version: AgentVersion) -> None:
    """A verdict that was reached on a candidate counts from the day it went to production."""
    incidents = Incident.objects.filter(agent=version.agent_id).order_by("pk")
    for incident in incidents.select_for_update(no_key=True, of=("self",)):
        refresh(incident, deployed=[version.pk])


def production_version(incident: Incident) -> AgentVersion | None:
    """What production runs now, as far as the recorded deployments tell."""
    if incident.agent is None:
        return None
    starts = versions.production_starts(incident.agent)
    latest = max(starts, key=lambda pk: starts[pk], default=None)
    return AgentVersion.objects.get(pk=latest) if latest else None


def _counts(incident: Incident) -> list[Count]:
    """The counts of what the incident is now, one a version, oldest version first. Of several rules
    on one version the last used speaks."""
    if incident.agent is None or incident.contract is None:
        return []
    rows = Count.objects.filter(
        session_revision=incident.session.current_id,
        contract_revision=incident.contract.current_id,
        scenario=AS_RECORDED,
        version__agent=incident.agent_id,
    ).select_related("version")
    position = {v.pk: i for i, v in enumerate(versions.in_order(incident.agent))}
    latest = {c.version_id: c for c in rows.order_by("updated_at", "pk")}
    return sorted(latest.values(), key=lambda count: position[count.version_id])


def _judge(found: list[Count]) -> set[int]:
    """Saves the verdicts that changed; the ids of their versions."""
    news = set()
    for index, count in enumerate(found):
        word = counts.standing(count, found[:index]).verdict or ""
        if word != count.verdict:
            count.verdict = word
            # Not through save(): `updated_at` says when the count last got an attempt.
            Count.objects.filter(pk=count.pk).update(verdict=word)
            news.add(count.version_id)
    return news


def _headline(count: Count, found: list[Count], starts: Starts) -> str:
    reason = _why_unjudged(count) if not count.judged else ""
    older = found[: found.index(count)]
    said = counts.standing(count, older, reason=reason).sentence
    if count.verdict == Verdict.FIXED and count.version_id not in starts:
        return f"Fixed on {count.version}, which is not in production yet. {said}"
    return said


def _why_unjudged(count: Count) -> str:
    feeds = Q(attempt__run__count=count) | Q(attempt__run__rejudgements__count=count)
    unjudged = Judgement.objects.filter(
        feeds, contract_revision=count.contract_revision_id
    ).exclude(outcome__in=[Outcome.PASSED, Outcome.FAILED])
    return unjudged.order_by("-pk").values_list("reason", flat=True).first() or ""


def _keep_old_word(incident: Incident) -> None:
    """Nothing was replayed yet under the current revisions: the old word stays, with its name."""
    old = (
        Count.objects.filter(
            session_revision__session=incident.session_id,
            scenario=AS_RECORDED,
            version=incident.verdict_version_id,
        )
        .exclude(judged=0, unjudged=0)
        .select_related("version", "session_revision", "contract_revision__contract")
        .order_by("-updated_at")
        .first()
    )
    if old is None or incident.contract is None:
        return
    said = [f"{old.verdict or 'Not decided'} on {old.version}"]
    new = incident.contract.current
    if old.contract_revision_id != new.pk:
        was, now = f"r{old.contract_revision.number}", f"r{new.number}"
        if old.contract_revision.contract_id != incident.contract_id:
            was, now = str(old.contract_revision), str(new)
        said.append(f" under contract {was}; {now} not judged")
    if old.session_revision_id != incident.session.current_id:
        said.append(f" with recording r{old.session_revision.number}; it was changed since")
    incident.headline = storable.text("".join(said) + ".", HEADLINE)


def _confirms(incident: Incident, run: Run) -> bool:
    """A failed check on the version of the incident or of production, or a reproduction."""
    if run.live_tools or not run.failed:
        return False
    if run.purpose == Run.Purpose.REPRODUCE and run.count and run.count.reproductions:
        return run.count.reproductions[-1][0] > 0
    if run.version.label == (incident.session.current.body or {}).get("agent_version"):
        return True
    return run.version.deployments.filter(environment=Deployment.PRODUCTION).exists()


def _move(incident: Incident, news: list[Count], starts: Starts) -> None:
    """Fixed by a verdict in production; regressed by a later one; ignored stays ignored."""
    decided = [
        c
        for c in news
        if c.version_id in starts and c.verdict in (Verdict.FIXED, Verdict.STILL_FAILING)
    ]
    if not decided or incident.state == Incident.State.IGNORED:
        return
    latest = max(decided, key=lambda c: starts[c.version_id])
    since = starts.get(incident.state_version_id)
    is_later = since is None or starts[latest.version_id] > since
    if latest.verdict == Verdict.STILL_FAILING:
        if incident.state == Incident.State.FIXED and is_later:
            _set(incident, Incident.State.REGRESSED, latest.version)
    elif incident.state != Incident.State.FIXED and (
        incident.state != Incident.State.REGRESSED or is_later
    ):
        _set(incident, Incident.State.FIXED, latest.version)


def _set(incident: Incident, state: Incident.State, version: AgentVersion | None) -> None:
    before, incident.state = incident.state, state
    incident.state_version = version
    activity.record(
        incident.project,
        "state changed",
        actor=None,
        incident=incident,
        before=before,
        after=state,
        version=version.label if version else "",
    )
