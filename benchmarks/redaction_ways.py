"""The whole corpus through each way into a database, which is then searched for every value.

Started by benchmarks.redaction; the tests use its ways too.
"""

from __future__ import annotations

import io
import itertools
import json
import zlib
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from benchmarks import planted
from benchmarks.planting import Planted
from benchmarks.redaction import as_text, is_gone

START, STEP_NS = 1_780_000_000_000_000_000, 1_000_000_000
TEXTS = ("input", "recorded_output", "expected_failure", "name")
PARTS = ("args", "response", "text", "error", "headers", "seen")


def recording(rows: list[Planted], session_id: str = "s-1") -> dict[str, Any]:
    """All of them in one session, field by field in turn."""
    said: dict[str, list[str]] = {name: [] for name in TEXTS}
    context: list[Any] = []
    calls: list[dict[str, Any]] = []
    stubs: dict[str, Any] = {}
    for place, row in zip(itertools.cycle((*TEXTS, "context", *PARTS, "stub")), rows, strict=False):
        carrier, text = row.carrier, as_text(row.carrier)
        if place in TEXTS:
            said[place].append(text)
        elif place == "context":
            context.append({"role": "user", "content": carrier})
        elif place == "stub":
            tool = f"tool{len(stubs)}"
            stubs[tool] = {"on_miss": "stub", "stub": carrier}
        else:
            as_field = carrier if isinstance(carrier, dict) else {"q": text}
            part: dict[str, Any] = {
                "args": {"args": as_field},
                "response": {"response": {"rows": [carrier]}},
                "text": {"response": json.dumps({"rows": [carrier]})},
                "error": {"error": f"ToolError({text!r})", "status": 500},
                "headers": {"headers": {"x-note": text}},
                "seen": {"seen": carrier, "error": "failed"},
            }[place]
            calls.append({"tool": f"crm_{place}", **part})
    texts = {name: "\n".join(parts) for name, parts in said.items()}
    return {
        "id": session_id,
        "contract": "Polite",
        "context": context,
        "tool_responses": calls,
        "replay": {"tools": stubs},
        **texts,
    }


def by_service(project: Any, rows: list[Planted]) -> None:
    from replays_app.services.incidents import report_incident

    report_incident(project, recording(rows), actor=None, via="benchmark")


def by_form(project: Any, rows: list[Planted]) -> None:
    """Field by field, as a person types it; headers, stubs and what a model was told have none."""
    from django.test import Client
    from django.urls import reverse

    from tests import factories

    value = recording(rows)
    form = {
        "title": value["name"][:290],
        "input": value["input"],
        "recorded_output": value["recorded_output"],
        "expected_failure": value["expected_failure"] + "\n" + value["name"],
        "contract": project.contracts.get().pk,
        "severity": "high",
        "tags": "",
        "session_id": "",
        "turns-TOTAL_FORMS": len(value["context"]),
        "turns-INITIAL_FORMS": 0,
        "calls-TOTAL_FORMS": len(value["tool_responses"]),
        "calls-INITIAL_FORMS": 0,
    }
    for n, turn in enumerate(value["context"]):
        form |= {f"turns-{n}-role": "user", f"turns-{n}-content": as_text(turn["content"])}
    for n, call in enumerate(value["tool_responses"]):
        response = call.get("response") or call.get("headers") or call.get("seen") or ""
        form |= {
            f"calls-{n}-tool": call["tool"],
            f"calls-{n}-args": json.dumps(call.get("args", {})),
            f"calls-{n}-response": as_text(response),
            f"calls-{n}-error": call.get("error", ""),
        }
    client = Client()
    client.force_login(factories.member(project))
    response = client.post(reverse("incident-new", args=[project.slug]), form)
    assert response.status_code in (302, 303), response.content.decode()[:3_000]


def by_upload(project: Any, rows: list[Planted]) -> None:
    """A replay file of YAML."""
    from replays_app.engine.formats.writing import to_yaml
    from replays_app.services import imports

    data = to_yaml(recording(rows)).encode()
    receipt = imports.take_uploads(
        project, [imports.Upload("a.yaml", io.BytesIO(data))], actor=None
    )
    assert receipt.items[0]["status"] == "created", receipt.items


def by_api(project: Any, rows: list[Planted]) -> None:
    from django.urls import reverse

    url = f"{reverse('api:incidents')}?title={quote(as_text(rows[0].carrier)[:200])}"
    response = _send(project, url, recording(rows), "write")
    assert response.status_code == 201, response.content


def by_langsmith(project: Any, rows: list[Planted]) -> None:
    """A run for each, as a tool's arguments, its text, its JSON or its error."""
    from replays_app.services import traces

    root = _run(0, "chain", "crm agent")
    root["inputs"] = {"messages": [{"role": "user", "content": as_text(rows[0].carrier)}]}
    root["outputs"] = {"messages": [{"type": "ai", "content": as_text(rows[1].carrier)}]}
    runs = [root]
    for n, row in enumerate(rows[2:], 1):
        run, carrier = _run(n, "tool", "find"), row.carrier
        run["inputs"], run["outputs"] = {"id": n}, {"output": "ok"}
        match n % 4:
            case 0:
                run["inputs"] = carrier if isinstance(carrier, dict) else {"input": carrier}
            case 1:
                run["outputs"] = {"output": carrier}
            case 2:
                content = json.dumps({"rows": [carrier]})
                run["outputs"] = {"output": {"type": "tool", "content": content}}
            case _:
                run |= {"outputs": None, "status": "error", "error": f"ValueError({carrier!r})"}
        runs.append(run)
    taken = traces.take(project, "langsmith", runs, actor=None, via="langsmith")
    assert taken.status == "created", taken


def by_otlp(project: Any, rows: list[Planted]) -> None:
    """Through the door for traces into the inbox, and from there an incident."""
    from replays_app.services import inbox

    root = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.input.messages": _message("user", rows[0]),
        "gen_ai.output.messages": _message("assistant", rows[1]),
    }
    spans = [_span(1, "invoke_agent crm", root)]
    for n, row in enumerate(rows[2:], 2):
        attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "find",
            "gen_ai.tool.call.arguments": json.dumps({"id": n}),
            "gen_ai.tool.call.result": "ok",
        }
        if n % 2:
            attributes["gen_ai.tool.call.arguments"] = json.dumps({"q": row.carrier})
        else:
            attributes["gen_ai.tool.call.result"] = as_text(row.carrier)
        spans.append(_span(n, "execute_tool find", attributes, parent=1))
    body = {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
    assert _send(project, "/v1/traces", body, "traces").status_code == 200
    inbox.make_incident(project.traces.get(), actor=None)


WAYS: dict[str, Callable[[Any, list[Planted]], None]] = {
    "service, imports": by_service,
    "form": by_form,
    "upload": by_upload,
    "API": by_api,
    "LangSmith": by_langsmith,
    "OpenTelemetry": by_otlp,
}


def stored() -> str:
    """All that the database holds of ours, as text; compressed bodies opened."""
    from django.apps import apps

    def plain(value: Any) -> str:
        if not isinstance(value, bytes | memoryview):
            return str(value)
        data = bytes(value)
        return (zlib.decompress(data) if data[:1] == b"x" else data).decode()

    models = apps.get_app_config("replays_app").get_models()
    rows = [row for model in models for row in model.objects.values()]
    return json.dumps(rows, default=plain, ensure_ascii=False)


def missed(rows: list[Planted]) -> list[str]:
    text = stored()
    return [f"{row.kind} {row.value[:40]}" for row in rows if not is_gone(row.value, text)]


def _run(number: int, run_type: str, name: str) -> dict[str, Any]:
    ids = [f"01a20529-0000-7000-8000-{n:012d}" for n in (0, number)]
    order = f"20260601T000000{number:06d}Z"
    return {
        "id": ids[1],
        "trace_id": ids[0],
        "parent_run_id": ids[0] if number else None,
        "dotted_order": f"20260601T000000000000Z{ids[0]}" + f".{order}{ids[1]}" * bool(number),
        "name": name,
        "run_type": run_type,
        "status": "success",
        "error": None,
        "start_time": f"2026-06-01T00:00:00.{number:06d}+00:00",
        "end_time": f"2026-06-01T00:00:01.{number:06d}+00:00",
        "extra": {},
    }


def _span(number: int, name: str, attributes: dict[str, str], parent: int = 0) -> dict[str, Any]:
    began = START + number * STEP_NS
    return {
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": f"{number:016x}",
        "parentSpanId": f"{parent:016x}" if parent else "",
        "name": name,
        "startTimeUnixNano": str(began),
        "endTimeUnixNano": str(began + STEP_NS // 2),
        "attributes": [{"key": k, "value": {"stringValue": v}} for k, v in attributes.items()],
    }


def _message(role: str, row: Planted) -> str:
    parts = [{"type": "text", "content": as_text(row.carrier)}]
    return json.dumps([{"role": role, "parts": parts}])


def _send(project: Any, url: str, body: Any, scope: str) -> Any:
    from django.test import Client

    from replays_app.services import tokens

    key = tokens.create_token(project, "benchmark", [scope], None, None)[1]
    headers = {"Authorization": f"Bearer {key}"}
    return Client().post(url, json.dumps(body), "application/json", headers=headers)


def main() -> None:
    import django

    django.setup()
    from django.core.management import call_command
    from django.test.utils import setup_test_environment

    setup_test_environment()
    call_command("migrate", verbosity=0)
    from tests import factories

    found: dict[str, tuple[int, int, list[str]]] = {}
    rows = planted.corpus()
    for name, way in WAYS.items():
        project = factories.project()
        factories.contract(project, factories.contract_value("Polite"))
        way(project, rows)
        left = missed(rows)
        found[name] = len(rows), len(rows) - len(left), left
        call_command("flush", verbosity=0, interactive=False)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
