"""Rows for tests: plain functions with defaults, made through the services wherever one exists.

Every name is unique by a counter, so that tests of one process never meet.
"""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.utils import timezone

from replays_app.engine.values import (
    Call,
    CheckResult,
    Evidence,
    Failure,
    Judgement,
    Outcome,
    Report,
    Severity,
)
from replays_app.models import (
    Agent,
    AgentVersion,
    Attempt,
    AttemptPayload,
    Contract,
    Count,
    Deployment,
    Incident,
    Membership,
    Project,
    Run,
    SessionRevision,
    Source,
    Trace,
)
from replays_app.models import (
    Judgement as JudgementRow,
)
from replays_app.services import claims, crypto, inbox, results, source_query
from replays_app.services.contracts import save_contract
from replays_app.services.incidents import report_incident
from replays_app.services.sessions import freeze

_numbers = itertools.count(1)

NOON = datetime(2026, 2, 15, 12, 0, tzinfo=UTC)


def user(name: str | None = None, *, superuser: bool = False, password: str = "pw"):
    name = name or f"user{next(_numbers)}"
    make = get_user_model().objects
    return (make.create_superuser if superuser else make.create_user)(name, password=password)


def project(slug: str | None = None, *, prefix: str | None = None) -> Project:
    n = next(_numbers)
    return Project.objects.create(
        slug=slug or f"project{n}", name=(slug or f"Project {n}").title(), prefix=prefix or f"P{n}"
    )


def member(project: Project, role: str = "responder", name: str | None = None):
    """A user with a role in the project."""
    someone = user(name)
    Membership.objects.create(project=project, user=someone, role=role)
    return someone


def agent(project: Project, name: str | None = None, *, origin: str = "project", **config) -> Agent:
    """An agent of the project that already runs at an endpoint, one session at a time."""
    values = {"endpoint": "http://127.0.0.1:9/invoke", "gateway": "tool_url"}
    values |= {"gateway_listen": "127.0.0.1:8199"} | config
    return Agent.objects.create(
        project=project, name=name or f"agent{next(_numbers)}", origin=origin, config=values
    )


def version(
    agent: Agent,
    label: str | None = None,
    *,
    has_own_start: bool = True,
    deployed: datetime | None = None,
    environment: str = Deployment.PRODUCTION,
    **overrides,
) -> AgentVersion:
    """A version; `deployed` is when it went to `environment`."""
    row = AgentVersion.objects.create(
        agent=agent,
        label=label or f"v{next(_numbers)}",
        has_own_start=has_own_start,
        overrides=overrides,
    )
    if deployed:
        deploy(row, deployed, environment=environment)
    return row


def deploy(
    version: AgentVersion, at: datetime, *, environment: str = Deployment.PRODUCTION
) -> Deployment:
    return Deployment.objects.create(version=version, environment=environment, started_at=at)


def source(project: Project, name: str | None = None, **columns) -> Source:
    """A source with a key of its own, `sk-of-the-source`, that nobody has tested."""
    values = {
        "name": name or f"source{next(_numbers)}",
        "kind": "langsmith",
        "url": "http://127.0.0.1:9",
        "key": crypto.encrypt("sk-of-the-source"),
        "query": source_query.check({"project": "finance-prod"}),
    }
    return Source.objects.create(project=project, **values | columns)


def contract_value(name: str | None = None, **more) -> dict[str, Any]:
    """One check, `polite`: the answer must hold "please"."""
    return {
        "name": name or f"Contract {next(_numbers)}",
        "invariants": [
            {"id": "polite", "type": "contains", "value": "please", "severity": "high"},
        ],
        **more,
    }


def contract(project: Project, value: dict[str, Any] | None = None) -> Contract:
    return save_contract(project, value or contract_value(), actor=None).contract


def session_value(contract: str = "default", **more) -> dict[str, Any]:
    """A recorded incident: one lookup that timed out, and the rude answer that followed."""
    return {
        "id": f"session-{next(_numbers)}",
        "name": "The agent was rude",
        "input": "Where is my order?",
        "contract": contract,
        "recorded_output": "No idea.",
        "tool_responses": [
            {"tool": "orders", "response": None, "status": 504, "latency_ms": 30_000}
        ],
        **more,
    }


def span(attributes: dict[str, Any], *, trace_id: str = "", **more: Any) -> dict[str, Any]:
    """One flat span, as importers.otel.wire gives it."""
    n = next(_numbers)
    start = 1_771_149_600_000_000_000 + n * 1_000_000
    values = {
        "traceId": trace_id or f"{n:032x}",
        "spanId": f"{n:016x}",
        "parentSpanId": "",
        "name": f"span {n}",
        "startTimeUnixNano": start,
        "endTimeUnixNano": start + 500_000,
        "statusCode": 0,
        "attributes": attributes,
        "events": [],
    }
    return {**values, **more}


def spans(trace_id: str = "", *, asked: str = "Where is my order?") -> list[dict[str, Any]]:
    """A trace of an agent with one tool that failed."""
    heard = [{"role": "user", "parts": [{"type": "text", "content": asked}]}]
    about = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "clerk"}
    root = span({**about, "gen_ai.input.messages": heard}, trace_id=trace_id)
    root["endTimeUnixNano"] += 10_000_000_000
    call = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "orders"}
    call |= {"gen_ai.tool.call.arguments": '{"order": 7}'}
    below = {"trace_id": root["traceId"], "parentSpanId": root["spanId"], "statusCode": 2}
    return [root, span(call, **below, statusMessage="no answer after 30 s")]


def trace(project: Project, items: list[dict[str, Any]] | None = None) -> Trace:
    """A trace that waits in the inbox."""
    items = items or spans()
    inbox.receive(project, items)
    return Trace.objects.get(project=project, external_id=items[0]["traceId"])


def session(project: Project, value: dict[str, Any] | None = None) -> SessionRevision:
    return freeze(project, value or session_value(), actor=None).revision


def incident(
    project: Project,
    *,
    agent: Agent | None = None,
    contract: Contract | None = None,
    payload: dict[str, Any] | None = None,
    **columns,
) -> Incident:
    """A reported incident; `columns` are set on the row afterwards."""
    contract = contract or globals()["contract"](project)
    payload = payload or session_value(contract.name)
    row = report_incident(
        project, payload, actor=None, via="test", agent=agent, contract=contract
    ).incident
    columns = {"agent": agent, **columns}
    for name, value in columns.items():
        setattr(row, name, value)
    row.save(update_fields=list(columns))
    project.refresh_from_db()
    return row


def run(incident: Incident, version: AgentVersion, *, planned: int = 1, **columns) -> Run:
    """A queued run with its Count, as the request service writes it (no doorbell)."""
    contract_revision = incident.contract.current
    session_revision = incident.session.current
    count, _ = Count.objects.get_or_create(
        session_revision=session_revision,
        contract_revision=contract_revision,
        version=version,
        rule=columns.get("rule", "default"),
    )
    return Run.objects.create(
        **{
            "project": incident.project,
            "incident": incident,
            "session_revision": session_revision,
            "contract_revision": contract_revision,
            "version": version,
            "planned": planned,
            "count": None if columns.get("live_tools") else count,
            **columns,
        }
    )


def evidence(answer: str | None = "Yes, please wait.", **more) -> Evidence:
    """What one attempt left behind: an answer after the recorded time-out was delivered."""
    call = Call(
        number=1,
        tool="orders",
        door="tool_url",
        how="exact",
        method="GET",
        url="http://orders.example/7",
        record=0,
        status=504,
        fault=True,
        latency_ms=30_000,
    )
    return Evidence(
        **{
            "answer": answer,
            "calls": (call,),
            "report": Report(),
            "http_status": 200,
            "real_ms": 12.0,
            "virtual_ms": 30_000.0,
            "injection": "tool_url",
            "started_at": NOON.isoformat(),
            **more,
        }
    )


def judgement(outcome: str = "passed", **more) -> Judgement:
    """A judgement with the one check `polite`."""
    outcome = Outcome(outcome)
    result = {"passed": "passed", "failed": "failed"}.get(outcome, "skipped")
    check = CheckResult(
        id="polite",
        type="contains",
        severity=Severity.HIGH,
        result=result,
        saw='found "please"' if result == "passed" else '"please" is not in the answer',
    )
    reason = "" if outcome in {"passed", "failed"} else "the tape could not answer call 1"
    return Judgement(**{"outcome": outcome, "checks": (check,), "reason": reason, **more})


LETTERS = {letter: outcome for outcome, letter in Run.LETTERS.items()}


def replayed(incident: Incident, version: AgentVersion, outcomes: str, **columns) -> Run:
    """A whole replay through claim, save and finish: a letter an attempt (p f d e n), `.` for one
    that never ended."""
    row = run(incident, version, planned=len(outcomes), **columns)
    claimed = next(c for c in claims.claim(row.queue) if c.pk == row.pk)
    for number, letter in enumerate(outcomes, start=1):
        if letter != ".":
            results.save_attempt(claimed, number, evidence(), judgement(LETTERS[letter]))
    return results.finish(claimed)


def attempt(
    run: Run, outcome: str = "passed", *, number: int | None = None, answer: str | None = None
) -> Attempt:
    """The rows of an ended attempt, without a claim; the run's counters follow, its count does
    not."""
    what = evidence(answer or ("No idea." if outcome == "failed" else "Yes, please wait."))
    said = judgement(outcome)
    row = Attempt.objects.create(
        run=run,
        number=number or run.attempts.count() + 1,
        started_at=timezone.now() - timedelta(milliseconds=what.real_ms),
        real_ms=what.real_ms,
        virtual_ms=what.virtual_ms,
        injection=what.injection,
        http_status=what.http_status,
        calls=len(what.calls),
    )
    AttemptPayload.objects.create(attempt=row, evidence=what.to_json(), sha256="0" * 64)
    JudgementRow.objects.create(
        attempt=row,
        contract_revision=run.contract_revision,
        outcome=said.outcome,
        reason=said.reason,
        checks=said.to_json()["checks"],
        failed_checks=list(said.failed_ids),
    )
    column = said.outcome.replace(" ", "_")
    setattr(run, column, getattr(run, column) + 1)
    run.save(update_fields=[column])
    return row


def failure(whose: str = "ours", code: str = "refused") -> Failure:
    return Failure(whose=whose, code=code, message=f"{code}: check the endpoint.")
