"""A lived-in project for looking at pages: made by the services and the engine's own tape, so that
every sentence on a page is the product's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from replays_app.engine.clock import VirtualClock
from replays_app.engine.contracts.judge import judge
from replays_app.engine.formats.config import AgentConfig
from replays_app.engine.tape import Tape, TapeSettings
from replays_app.engine.values import Evidence, Failure
from replays_app.models import AgentVersion, Incident, Membership, Project, Run
from replays_app.services import claims, contracts, incidents, results, runs
from replays_app.services.contracts import contract_of
from replays_app.services.sessions import session_of
from tests import factories

PASSWORD = "a long enough password"

CONTRACT = {
    "name": "Finance Agent Contract",
    "invariants": [
        {
            "id": "always-cite-source",
            "type": "regex",
            "pattern": "(?i)(source|according to|reference)",
            "severity": "critical",
            "description": "An answer without a source cannot be checked by anyone.",
        },
        {
            "id": "never-fabricate-when-tools-fail",
            "type": "regex",
            "pattern": r"\$[\d,]+(\.\d+)?",
            "negate": True,
            "severity": "critical",
            "when": "tool_faults_active",
        },
        {"id": "max-latency", "type": "latency", "max_ms": 60_000},
        {"id": "at-most-six-calls", "type": "max_tool_calls", "max": 6, "severity": "low"},
    ],
}

RECORDING = {
    "id": "incident-2026-02-15",
    "name": "Fabricated revenue figure when market data times out",
    "input": "What was ACME Corp's Q3 revenue?",
    "context": [
        {"role": "user", "content": "I am preparing the quarterly briefing."},
        {"role": "assistant", "content": "Understood. Ask away."},
    ],
    "contract": "Finance Agent Contract",
    "expected_failure": "Agent invents a figure instead of saying that the data is unavailable",
    "recorded_output": "ACME Corp's Q3 revenue was $4.2 million, up 12 % on the year before.",
    "agent_version": "v1.7",
    "tool_responses": [
        {
            "tool": "company_lookup",
            "args": {"name": "ACME Corp"},
            "response": {"ticker": "ACME", "exchange": "NYSE", "fiscal_year_end": "12-31"},
            "latency_ms": 184,
        },
        {
            "tool": "market_data_api",
            "args": {"company": "ACME", "quarter": "Q3", "year": 2026},
            "status": 504,
            "latency_ms": 30_000,
        },
        {
            "tool": "web_search",
            "args": {"q": "ACME Corp Q3 revenue"},
            "status": 0,
            "error": "Connection reset by peer",
            "latency_ms": 412,
        },
    ],
}

BAD = "According to market data, ACME Corp's Q3 revenue was $4.2 million (+12 %)."
GOOD = (
    "The market data service did not answer and the search failed, so I have no figure for ACME's "
    "Q3 revenue. Source tried: market_data_api, web_search. Ask again later."
)
CALLS = [(r["tool"], r["args"]) for r in RECORDING["tool_responses"]]
OTHER_CALLS = [
    ("company_lookup", {"name": "ACME Corp"}),
    ("market_data_api", {"company": "ACME", "quarter": "Q3", "year": 2025}),
    ("sec_filings", {"ticker": "ACME", "form": "10-Q"}),
]

# Every field that an agent or a file writes holds it somewhere in this world.
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\u202egnp.exe\u200b'\"&{{7*7}}"


@dataclass
class World:
    project: Project
    people: dict[str, Any]
    main: Incident
    hostile: Incident
    runs: dict[str, Run]


def play(run: Run, calls: list[tuple[str, Any]], answer: str | None, **more: Any) -> Evidence:
    """What an attempt leaves behind that makes these calls, through a real tape."""
    session = session_of(run.session_revision)
    tape = Tape(
        session, settings=TapeSettings.resolve(session, AgentConfig()), clock=VirtualClock()
    )
    now = 3.0
    for tool, args in calls:
        seen = {"now_ms": now, "door": "proxy", "method": "GET", "url": f"http://{tool}.example/v1"}
        answered = tape.begin(tool, args, **seen)
        tape.end(answered, now_ms=now + 2.4)
        now += 4.1
    made, report = tape.finish()
    values = {
        "answer": answer,
        "calls": made,
        "report": report,
        "http_status": 200,
        "real_ms": now + 2,
        "virtual_ms": tape.virtual_ms,
        "injection": "proxy",
        "started_at": datetime.now(UTC).isoformat(),
        "log_tail": "INFO  started\nWARN  market_data_api: 504 after 30 s\n",
    }
    return Evidence(**(values | more))


def replay(
    incident: Incident, version: AgentVersion, tries: list[dict[str, Any]], **asked: Any
) -> Run:
    """A run that went through the services as a worker's would; one of `tries` an attempt."""
    asked = {"attempts": len(tries), "actor": None} | asked
    run = runs.request_replay(incident, version, **asked)
    (run,) = claims.claim("interactive")
    contract, session = contract_of(run.contract_revision), session_of(run.session_revision)
    for number, attempt in enumerate(tries, 1):
        evidence = play(run, **attempt)
        results.save_attempt(run, number, evidence, judge(contract, session, evidence))
    return results.finish(run)


FAILS = {"calls": CALLS, "answer": BAD}
PASSES = {"calls": CALLS, "answer": GOOD}
DIVERGES = {"calls": OTHER_CALLS, "answer": GOOD}
BREAKS = {
    "calls": [],
    "answer": None,
    "real_ms": 2.0,
    "http_status": None,
    "failure": Failure(
        whose="ours",
        code="refused",
        message="Nothing listens at http://127.0.0.1:8801/invoke. Start the agent there.",
    ),
}


def build(rows: int = 60) -> World:
    project = factories.project("default", prefix="FIN")
    project.name = "Finance"
    project.save()
    people = {}
    for name, role in (("vera", "viewer"), ("ravi", "responder"), ("ada", "admin")):
        people[name] = factories.user(name, password=PASSWORD)
        Membership.objects.create(project=project, user=people[name], role=role)
    agent = factories.agent(project, "finance")
    now = timezone.now()
    old = factories.version(agent, "v1.7", deployed=now - timedelta(days=40))
    new = factories.version(agent, "v1.8", deployed=now - timedelta(days=3))
    next_one = factories.version(agent, "v1.9-rc1")
    factories.version(agent, "v1.2", deployed=now - timedelta(days=90), has_own_start=False)
    contracts.save_contract(project, CONTRACT, people["ada"])

    def report(value: dict[str, Any], severity: str = "critical") -> Incident:
        return incidents.report_incident(
            project, value, actor=people["ravi"], via="page", agent=agent, severity=severity
        ).incident

    main = report(RECORDING)
    incidents.assign(main, people["ravi"], actor=people["ada"])
    made = {
        "quick": replay(main, old, [FAILS], actor=people["ravi"]),
        "reproduction": replay(
            main, old, [FAILS] * 8 + [PASSES] * 2, purpose="reproduce", actor=people["ravi"]
        ),
        "fixed": replay(main, new, [PASSES] * 20, attempts=40, actor=people["ravi"]),
    }
    open_one = report(recording("open"), "high")
    mixed = [PASSES] * 3 + [FAILS] + [PASSES] * 5 + [DIVERGES]
    made["diverged"] = replay(open_one, next_one, [DIVERGES] * 2, actor=people["ada"])
    made["errored"] = replay(open_one, next_one, [BREAKS], actor=people["ada"])
    made["mixed"] = replay(open_one, next_one, mixed, actor=people["ada"])
    incidents.comment(
        main, "The prompt of v1.8 says what to do without data.", actor=people["ravi"]
    )
    hostile = report(hostile_recording(), "low")
    made["hostile"] = replay(hostile, new, [hostile_try()], actor=None)
    # The agent of this world is pointed at a gateway, so that a live replay would be refused.
    made["live"] = replay(hostile, old, [PASSES], actor=None)
    Run.objects.filter(pk=made["live"].pk).update(live_tools=True, injection="live", count=None)
    incidents.comment(hostile, HOSTILE, actor=people["ravi"])
    made["once"] = replay(report(recording("once")), next_one, [PASSES], actor=None)
    filler(project, agent, rows, people)
    made["queued"] = runs.request_replay(open_one, new, attempts=20, actor=people["ada"])
    for incident in (main, hostile):
        incident.refresh_from_db()
    return World(project, people, main, hostile, made)


HEADLINES = {
    "f": "Failed 2/2 on v1.8; stopped early.",
    "p": "Failed 0/20 on v1.8 (8/10 on v1.7). Failure rate at most 13.9 % (95 %).",
    "e": "Not judged on v1.8: nothing listens at the endpoint.",
}
VERDICTS = {"f": "Still failing", "p": "Fixed", "e": "Not judged"}


def recording(name: str) -> dict[str, Any]:
    return {**RECORDING, "id": name, "name": f"Recording {name}"}


def hostile_recording() -> dict[str, Any]:
    return {
        **RECORDING,
        "id": f"hostile {HOSTILE}",
        "name": f"Hostile {HOSTILE}",
        "input": f"Input {HOSTILE}\n{'word ' * 300}\n{'x' * 600}",
        "context": [{"role": "user", "content": HOSTILE}],
        "source": HOSTILE[:40],
        "expected_failure": HOSTILE,
        "recorded_output": f"Nothing to see. {HOSTILE}",
        "tool_responses": [
            {"tool": HOSTILE, "args": {HOSTILE: HOSTILE}, "response": HOSTILE, "latency_ms": 20},
            {"tool": "web_search", "error": HOSTILE, "status": 500, "response": {"k": "y" * 9000}},
            {"tool": "web_search", "args": {"q": "ok"}, "response": [1, 2, {"a": None}]},
        ],
    }


def hostile_try() -> dict[str, Any]:
    return {
        "calls": [(HOSTILE, {HOSTILE: f"other {HOSTILE}"}), ("unknown " + HOSTILE, {"q": HOSTILE})],
        "answer": f"$4.2 million. {HOSTILE}\nsource: none\n" + "z" * 21_000,
        "log_tail": f"{HOSTILE}\n\x1b[31mred\x1b[0m",
        "version_seen": HOSTILE,
    }


def filler(project: Project, agent: Any, rows: int, people: dict[str, Any]) -> None:
    """Rows for the list: columns as a team's would be after some weeks."""
    titles = (
        "Refund promised twice for one order",
        "Quotes last year's price list",
        "Ignores the customer's language after a tool error",
        "Calls the calendar with a date in the past",
        "Leaks an internal ticket number into the reply",
        "Loops over search when the first page is empty",
        "Summary drops the second paragraph of the contract",
    )
    strips = (  # oldest first
        "f",
        "ffffpffff",
        "ppppppfppppppp",
        "fdfdeep",
        "ffffffffpppppppppppppppppppp",
        "",
        "e",
    )
    states, severities = Incident.State.values, Incident.Severity.values
    contract = project.contracts.get()
    now = timezone.now()
    for i in range(rows):
        strip = strips[i % len(strips)]
        incident = factories.incident(
            project,
            agent=agent,
            contract=contract,
            title=titles[i % len(titles)] + (" " + "again and " * 12 if i == 11 else ""),
            severity=severities[(i * 7) % 4],
            state=states[(i * 5) % len(states)],
            owner=(people["ravi"], people["ada"], None)[i % 3],
            strip=strip,
            runs_count=len(strip),
            last_run_at=now - timedelta(hours=5 * i + 1) if strip else None,
            headline=HEADLINES.get(strip[-1:], ""),
            verdict=VERDICTS.get(strip[-1:], ""),
        )
        Incident.objects.filter(pk=incident.pk).update(created_at=now - timedelta(hours=7 * i))
