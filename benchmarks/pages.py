"""Every list and detail page at 10 and at 10,000 incidents: queries, time, size, memory.

    .venv/bin/python -m benchmarks.pages [--rows 10 10000]

Each size has a database of its own (SQLite, the embedded default), filled by one process and read
by another, through every middleware. Exits 1 when a page needs more queries with more rows, or when
the process passes 200 MiB; times are printed as ratios, and judge nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 9
RSS_LIMIT_MIB = 200
BATCH = 1000
ATTEMPTS = 40  # of the run whose page is asked for


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs=2, default=[10, 10_000])
    parser.add_argument("--seed", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.seed:
        print(json.dumps(seed(options.seed)))
        return
    if options.measure:
        print(json.dumps(measure(json.loads(options.measure))))
        return
    few, many = (figures(rows) for rows in options.rows)
    sys.exit(report(options.rows, few, many))


def figures(rows: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        env = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL")}
        env |= {"FLAKESTORM_DATA": folder, "DJANGO_SETTINGS_MODULE": "tests.browser.settings"}
        env["FLAKESTORM_LOG_LEVEL"] = "ERROR"  # a line a request is of no use here

        def run(*words: str) -> str:
            command = [sys.executable, "-W", "ignore", "-m", "benchmarks.pages", *words]
            done = subprocess.run(
                command, cwd=ROOT, env=env, check=True, stdout=subprocess.PIPE, text=True
            )
            return done.stdout.splitlines()[-1]

        return dict(json.loads(run("--measure", run("--seed", str(rows)))))


def report(rows: list[int], few: dict[str, Any], many: dict[str, Any]) -> int:
    print(f"{'page':34} {'queries':>12} {'ms, median':>16} {'ratio':>6} {'KiB':>7}")
    worse = 0
    for name, small in few["pages"].items():
        large = many["pages"][name]
        grows = large["queries"] > small["queries"]
        worse += grows
        print(
            f"{name:34} {small['queries']:5} {large['queries']:5}{' !' if grows else '  '}"
            f" {small['ms']:7.1f} {large['ms']:7.1f} {large['ms'] / small['ms']:6.2f}"
            f" {large['kib']:7.1f}"
        )
    print(f"columns: at {rows[0]:,} incidents, at {rows[1]:,}")
    print(f"process: {many['rss_mib']:.0f} MiB at its most, limit {RSS_LIMIT_MIB}")
    return int(bool(worse) or many["rss_mib"] > RSS_LIMIT_MIB)


def measure(addresses: dict[str, str]) -> dict[str, Any]:
    import django

    django.setup()
    from django.contrib.auth import get_user_model
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext, setup_test_environment

    setup_test_environment()
    client = Client()
    client.force_login(get_user_model().objects.get(username="ada"))
    pages = {}
    for name, address in addresses.items():
        client.get(address)  # templates and caches
        with CaptureQueriesContext(connection) as queries:
            response = client.get(address)
        asked = len(queries)  # the next request empties the log
        if response.status_code != 200:
            sys.exit(f"{address} answered {response.status_code}")
        took = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            client.get(address)
            took.append((time.perf_counter() - began) * 1000)
        size = len(b"".join(response) if response.streaming else response.content)
        pages[name] = {"queries": asked, "ms": statistics.median(took), "kib": size / 1024}
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"pages": pages, "rss_mib": rss}


def seed(rows: int) -> dict[str, str]:
    """`rows` incidents, each with a run and a judged attempt; the first has as many runs again.
    Gives what to ask for: a page's name to its address."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.urls import reverse

    call_command("migrate", verbosity=0)

    from replays_app.models import Membership, Project
    from replays_app.services import batches
    from tests import factories

    project = Project.objects.create(slug="big", name="Big", prefix="BIG")
    admin = factories.user("ada")
    Membership.objects.create(project=project, user=admin, role="admin")
    agent = factories.agent(project, "finance")
    version = factories.version(agent, "v1", deployed=factories.NOON)
    first = factories.incident(project, agent=agent, contract=factories.contract(project))
    run = factories.replayed(first, version, "pf" * (ATTEMPTS // 2))
    copies(rows, first, run)
    batch = batches.request_batch(
        project, version, batches.Selection(keys=(first.key,)), actor=admin
    )

    source, receipt, preview = imported(project, admin, min(rows, 1_000))
    waiting = waiting_traces(project, min(rows, 1_000))

    def at(name: str, *args: Any, query: str = "") -> str:
        return reverse(name, args=[project.slug, *args]) + query

    return {
        "incidents": at("incidents"),
        "incidents by severity": at("incidents", query="?sort=severity"),
        "incidents, search that hits": at("incidents", query="?q=answer+7"),
        "incidents, search that misses": at("incidents", query="?q=nothing+like+this"),
        "incident": at("incident", first.key),
        "run": at("run", run.pk),
        "overview": at("project"),
        "revisions": at("incident-revisions", first.key),
        "tools of an incident": at("incident-tools", first.key),
        "contracts": at("contracts"),
        "contract": at("contract", first.contract.pk),
        "contract, dry run": at("contract-try", first.contract.pk, 1),
        "agents": at("agents"),
        "agent": at("agent", agent.pk),
        "batches": at("batches"),
        "batch": at("batch", batch.pk),
        "replay many": at("incidents-replay"),
        "activity": at("activity"),
        "sources": at("sources"),
        "source": at("source", source.pk),
        "import": at("import"),
        "import, its receipt": at("import-receipt", receipt.pk),
        "import, a preview": at("import-receipt", preview.pk),
        "inbox": at("inbox"),
        "inbox, a trace": at("trace", waiting.pk),
        "people": at("people"),
        "hooks": at("hooks"),
        "retention": at("retention"),
        "redaction": at("redaction"),
    }


def waiting_traces(project: Any, rows: int) -> Any:
    """As full an inbox, with bodies that a list must not open."""
    from replays_app.models import Trace
    from tests import factories

    first = factories.trace(project)
    columns = ("kind", "status", "body", "size", "spans", "summary", "is_failed", "expires_at")
    same = {name: getattr(first, name) for name in columns}
    more = [Trace(project=project, external_id=f"trace {n}", **same) for n in range(1, rows)]
    Trace.objects.bulk_create(more, batch_size=BATCH)
    return first


def imported(project: Any, admin: Any, rows: int) -> tuple[Any, Any, Any]:
    """As many sources as half a hundred, and of one an import and a preview with so many lines."""
    from replays_app.services import import_progress, trace_imports
    from tests import factories

    sources = [factories.source(project, f"source {n}") for n in range(min(rows, 50))]
    found = []
    for purpose in ("import", "preview"):
        trace_imports.request_project(sources[0], actor=admin, purpose=purpose)
        row = trace_imports.claim()
        row.items = [
            import_progress.line(f"run {n}", "created", trace=f"t{n}", title=f"Answer {n}")
            for n in range(rows if purpose == "import" else 0)
        ]
        row.save(update_fields=["items"])
        if purpose == "preview":
            shown = {
                "name": "agent",
                "input": "What was the revenue?",
                "status": "error",
                "calls": 3,
            }
            import_progress.add_rows(
                row, [{"id": f"t{n}", "session": f"copy-{n}", **shown} for n in range(rows)]
            )
        import_progress.finish(row)
        found.append(row)
    return sources[0], *found


def copies(rows: int, first: Any, run: Any) -> None:
    from django.utils import timezone

    from replays_app.models import (
        Activity,
        Attempt,
        AttemptPayload,
        Incident,
        Judgement,
        ReplaySession,
        Run,
        SessionRevision,
    )

    now = timezone.now()
    project, revision = first.project, first.session.current
    states, severities = Incident.State.values, Incident.Severity.values
    numbers = range(first.number + 1, first.number + rows)

    def many(model: Any, made: Any) -> list[Any]:
        return list(model.objects.bulk_create(made, batch_size=BATCH))

    sessions = many(
        ReplaySession, (ReplaySession(project=project, session_id=f"copy-{n}") for n in numbers)
    )
    bodies = many(
        SessionRevision,
        (
            SessionRevision(
                session=s, number=1, body=revision.body | {"id": s.session_id}, sha256="0" * 64
            )
            for s in sessions
        ),
    )
    for session, body in zip(sessions, bodies, strict=True):
        session.current = body
    ReplaySession.objects.bulk_update(sessions, ["current"], batch_size=BATCH)
    incidents = many(
        Incident,
        (
            Incident(
                project=project,
                number=n,
                title=f"The agent made up answer {n}",
                severity=severities[n % 4],
                state=states[n % len(states)],
                session=session,
                agent=first.agent,
                contract=first.contract,
                strip="fp" * 25,
                runs_count=50,
                last_run_at=now - timedelta(minutes=n),
                verdict="Still failing",
                headline="Failed 2/2 on v1; stopped early.",
                verdict_version=run.version,
            )
            for n, session in zip(numbers, sessions, strict=True)
        ),
    )
    project.last_incident_number = first.number + rows
    project.save()
    same = {
        "project": project,
        "version": run.version,
        "contract_revision": run.contract_revision,
        "planned": 1,
        "status": Run.Status.FINISHED,
        "outcome": "failed",
        "failed": 1,
        "finished_at": now,
        "headline": "Failed once on v1.",
    }
    runs = many(
        Run,
        (
            Run(incident=incident, session_revision=body, **same)
            for i, b in zip(incidents, bodies, strict=True)
            for incident, body in ((i, b), (first, revision))
        ),
    )
    attempts = many(
        Attempt,
        (
            Attempt(run=r, number=1, started_at=now, real_ms=5, virtual_ms=5, injection="proxy")
            for r in runs
        ),
    )
    evidence = run.attempts.first().payload.evidence
    many(
        AttemptPayload, (AttemptPayload(attempt=a, evidence=evidence, sha256="0") for a in attempts)
    )
    many(
        Judgement,
        (
            Judgement(
                attempt=a,
                contract_revision=run.contract_revision,
                outcome="failed",
                checks=[],
                failed_checks=["polite"],
            )
            for a in attempts
        ),
    )
    many(
        Activity,
        (
            Activity(project=project, incident=i, verb="reported", data={"via": "page"})
            for incident in incidents
            for i in (incident, first)
        ),
    )


if __name__ == "__main__":
    main()
