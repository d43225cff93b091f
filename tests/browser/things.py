"""One of everything that a page shows, in the world's project, by the words of the matrix."""

from __future__ import annotations

import copy
import io
from datetime import timedelta
from typing import Any

from django.test import Client
from django.utils import timezone

from replays_app.models import Delivery, Membership, Project
from replays_app.services import (
    batches,
    checks,
    contracts,
    hooks,
    import_progress,
    imports,
    incidents,
    invitations,
    secrets,
    tokens,
    trace_imports,
)
from replays_app.services.batches import Selection
from tests import factories
from tests.browser.world import CONTRACT, HOSTILE, RECORDING, World
from tests.factories import NOON
from tests.web.test_matrix import RULES, url_of

CONTRACT_TEXT = """\
# What the finance agent must always do.
name: Finance Agent Contract
invariants:
  - id: always-cite-source  # reviewed with legal
    type: regex
    pattern: '(?i)(source|according to|reference)'
    severity: critical
"""
ANSWER = {"error": {"code": "bad_signature", "message": HOSTILE, "remedy": "Sign it again."}}


def build(world: World) -> dict[str, Any]:
    project, admin = world.project, world.people["ada"]
    version = world.main.verdict_version
    invitation, token = invitations.invite(project, role="viewer", email="", actor=admin)
    invitations.invite(project, role="responder", email="new@example.com", actor=admin)
    hook, _ = hooks.create_hook(project, "Nightly build", version.agent, admin)
    for status, answer in ((202, {"batch": 1}), (401, ANSWER)):
        delivery = Delivery.objects.create(
            hook=hook, webhook_id=f"msg-{status}", status=status, answer=answer
        )
    batch = batches.request_batch(
        project,
        version,
        Selection(keys=(world.main.key, world.hostile.key)),
        actor=admin,
        title=f"Nightly {HOSTILE}",
    )
    batches.cancel(batch, admin)  # other tests wait until nothing runs
    revise_recording(project, admin)
    revise_contract(project, admin)
    secrets.save(project, "CRM_API_KEY", "sk-live-of-the-crm", admin)
    return {
        "agent": version.agent_id,
        "check": check(version, admin),
        "import": receipt(project, admin),
        "trace": factories.trace(project, factories.spans(asked=f"Where is it? {HOSTILE}")).pk,
        "source": source(project, admin),
        "key": world.main.key,
        "run": world.runs["mixed"].pk,
        "one": 1,
        "contract": world.main.contract.pk,
        "batch": batch.pk,
        "hook": hook.public_id,
        "hook row": hook.pk,
        "delivery": delivery.pk,
        "invitation": invitation.pk,
        "invitation token": token,
        "member": Membership.objects.get(project=project, user=world.people["vera"]).pk,
        "token": tokens.create_token(project, "Nightly", ["read"], None, admin)[0].pk,
        "uid": "MQ",
        "no token": "abc-def",
    }


def check(version: Any, admin: Any) -> int:
    """A connection check that ended, with what it saw."""
    checks.request(version, "Are you there?", admin)
    claimed = checks.claim()
    steps = (
        {"step": "configuration", "ok": True, "saw": "can be read", "remedy": ""},
        {"step": "connect", "ok": False, "saw": f"refused {HOSTILE}", "remedy": "Start the agent."},
    )
    checks.finish(claimed, steps)
    return claimed.pk


def source(project: Project, admin: Any) -> int:
    """One on a schedule, with an import that failed and a preview to choose from."""
    row = factories.source(
        project,
        f"Finance {HOSTILE}"[:100],
        every_minutes=60,
        next_import_at=timezone.now() + timedelta(minutes=42),
    )
    trace_imports.request_project(row, actor=admin)
    import_progress.finish(trace_imports.claim(), problem=f"401: the key is wrong. {HOSTILE}")
    trace_imports.request_project(row, actor=admin, purpose=trace_imports.PREVIEW)
    preview = trace_imports.claim()
    found = {"name": HOSTILE, "input": f"What {HOSTILE}?", "status": "error", "calls": 3}
    found |= {"error": "TimeoutError", "failed_calls": 1, "started_at": NOON.isoformat()}
    rows = [{"id": f"run-{n}", "session": f"langsmith-run-{n}", **found} for n in range(3)]
    import_progress.add_rows(preview, [*rows, {"id": "bad", "problem": f"no root {HOSTILE}"}])
    import_progress.finish(preview)
    return row.pk


def receipt(project: Project, admin: Any) -> int:
    """What became of an upload: something new, something broken, something that is no session."""
    files = {
        "new.yaml": "{id: uploaded, input: Hello?, contract: Finance Agent Contract}",
        "broken.yaml": "{id: broken, inpt: Hello?, contract: Finance Agent Contract}",
        f"{HOSTILE}.yaml": "[unclosed",
        "contract.yaml": CONTRACT_TEXT,
    }
    uploads = [imports.Upload(name, io.BytesIO(text.encode())) for name, text in files.items()]
    return imports.take_uploads(project, uploads, actor=admin).pk


def revise_recording(project: Project, admin: Any) -> None:
    value = copy.deepcopy(RECORDING) | {"id": "revised", "name": "Recorded twice"}
    for words in ("first", "second"):
        value["input"] = f"What was ACME Corp's Q3 revenue, {words} try?"
        incidents.report_incident(project, value, actor=admin, via="page")


def revise_contract(project: Project, admin: Any) -> None:
    """A contract of its own, since the world's verdicts are under the first revision of theirs."""
    value = copy.deepcopy(CONTRACT) | {"name": f"Other {HOSTILE}"[:100]}
    for severity in ("low", "high"):
        value["invariants"][0]["severity"] = severity
        contracts.save_contract(project, value, admin)


def pages(world: World, things: dict[str, Any]) -> dict[str, str]:
    """Every page that an admin can open, by its name in the matrix; downloads and JSON are none."""
    client = Client(SERVER_NAME="localhost")
    client.force_login(world.people["ada"])
    found = {}
    for name, rule in RULES.items():
        if not rule.read:
            continue
        url = url_of(name, world.project.slug, things)
        response = client.get(url)
        is_page = response.get("Content-Type", "").startswith("text/html")
        if (
            response.status_code == 200
            and is_page
            and "attachment" not in response.headers.get("Content-Disposition", "")
        ):
            found[name] = url
    return found
