"""What the model said in a trace comes along, and replays the incident offline."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from replays_app.engine.formats.agent import AgentConfig
from replays_app.engine.formats.document import Document
from replays_app.engine.formats.llm import LlmConfig
from replays_app.engine.formats.session import read_session
from replays_app.importers.convert import to_session
from replays_app.importers.langfuse.read import read_observations
from replays_app.importers.langsmith.runs import read_trace
from replays_app.importers.model_answers import MAX_ANSWERS
from replays_app.importers.otel.read import read_spans
from replays_app.importers.readers import read
from tests.agents.replaying import replays
from tests.importers.traces import NAMES, PARTS, SHAPES, TRUTH, one, runs_of, trace_of

TALKS = Path(__file__).parents[1] / "fakes" / "agents" / "talks.py"
OTEL = Path(__file__).parents[1] / "data" / "otel"

SAYS = {"role": "assistant", "content": "Par"}

# By trace: each answer as its text and the tools that it asks for, as the model's script had them.
SAID: dict[str, list[tuple[str, list[tuple[str, dict[str, Any]]]]]] = {
    "s01": [
        ("", [("get_weather", {"city": "Paris"})]),
        ("", [("get_weather", {"city": "Oslo", "unit": "celsius"})]),
        ("Paris (21 C) is warmer than Oslo (9 C).", []),
    ],
    "s02": [
        ("", [("lookup_order", {"order_id": "A-1001"})]),
        ("", [("refund_payment", {"order_id": "A-1001", "amount": 129.9})]),
    ],
    "s03": [
        ("", [("charge_card", {"card": "4242", "amount": 20.0})]),
        ("Your card was declined: insufficient funds.", []),
    ],
    "s04": [
        (
            "",
            [
                ("get_price", {"sku": "X1"}),
                ("get_stock", {"sku": "X1"}),
                ("get_reviews", {"sku": "X1", "limit": 2}),
            ],
        ),
        ("X1 costs 19.99, is out of stock, reviews are mixed.", []),
    ],
    "s08": [("You have 30 days.", [])],
    "s09": [("I mailed a@x.test.", [])],
    "s10": [
        ("", [("quick_lookup", {"id": "7"})]),
        ("", [("slow_report", {"month": "2026-10"})]),
    ],
    "s13": [
        ("", [("get_order", {"order_id": "B-404"})]),
        ("", [("get_invoices", {"customer_id": "c-3"})]),
        ("Order B-404 ships on Tuesday and your last invoice was 84.20 EUR.", []),
    ],
    "s14": [
        ("Let me convert that.", [("convert", {"amount": 100.0, "src": "EUR", "dst": "USD"})]),
        ("100 EUR are 107.50 USD.", []),
    ],
    "s17": [
        ("", [("check_slot", {"day": "Mon", "hour": 9})]),
        ("", [("book", {"day": "Mon", "hour": 9, "name": "Ada"})]),
        ("Booked Monday 9:00 for Ada.", []),
    ],
    "s20": [
        (
            "",
            [
                (
                    "book_table",
                    {"restaurant": "Chez Léa", "guests": 4, "when": "2026-11-20T20:00"},
                )
            ],
        ),
        ("Done! Your table for 4 is confirmed.", []),
    ],
}


def told(trace):
    return [(a.text, [(ask.tool, ask.args) for ask in a.asks]) for a in trace.answers]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", SAID)
def test_what_the_model_said_in_the_trace(name, shape, part):
    assert told(trace_of(name, shape, part)) == SAID[name]


def test_s06_asks_for_one_tool_after_the_other_and_then_is_done():
    *asking, last = trace_of("s06").answers
    tools = [
        call["name"] for each in TRUTH if each["name"].startswith("s06") for call in each["calls"]
    ]
    assert [ask.tool for answer in asking for ask in answer.asks] == tools
    assert (last.text, last.asks) == ("done", ())


def test_s01_has_the_model_its_tokens_its_time_and_the_ids_of_its_calls():
    first = trace_of("s01").answers[0]
    assert first.to_value() == {
        "tool_calls": [{"tool": "get_weather", "args": {"city": "Paris"}, "id": "call_e4f199e0"}],
        "model": "scripted-1",
        "usage": {"input_tokens": 20, "output_tokens": 7},
        "latency_ms": pytest.approx(13.145, abs=0.01),
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_session_takes_them(name):
    value = to_session(trace_of(name)).value
    session = read_session(value, Document(value, name))
    assert len(session.model_responses) == len(trace_of(name).answers)


# Replayed without a model and without a tool


@pytest.mark.processes
@pytest.mark.parametrize(
    ("name", "api"),
    [
        *((name, "chat") for name in ("s01", "s03", "s04", "s06", "s13", "s14", "s17", "s20")),
        *(("s04", api) for api in ("responses", "messages")),
    ],
)
def test_the_imported_incident_is_replayed_offline_and_ends_as_it_did(name, api):
    value = to_session(read("langsmith", runs_of(name, "v2", "calls"))).value
    value["input"] = "go"  # what this agent passes on; its model has said what it says already
    agent = AgentConfig(
        endpoint="http://127.0.0.1:{port}/",
        start=("python", str(TALKS), "{port}", api, "whole"),
        gateway="llm",
        llm=LlmConfig(answers="recorded", upstream="http://127.0.0.1:1"),
    )
    (evidence,) = replays(agent, read_session(value, Document(value, name)))
    true = next(each for each in TRUTH if each["name"].startswith(name))
    assert evidence.answer == true["output"]
    assert evidence.report.identical
    assert (evidence.report.misses, evidence.report.unused, evidence.report.notes) == ((), (), ())
    assert {call.source for call in evidence.model_calls} == {"recorded"}
    assert len(evidence.model_calls) == len(value["model_responses"])


# What cannot be told


def llms(runs):
    return sorted((r for r in runs if r["run_type"] == "llm"), key=lambda r: r["start_time"])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda run: run.update(outputs={"tensor": [1, 2]}),
        lambda run: run.update(outputs=None, end_time=None),
        lambda run: run.update(error="ValueError('the callback failed')"),
        lambda run: run.update(outputs={"messages": [{"role": "user", "content": "what?"}]}),
    ],
)
def test_what_comes_behind_an_answer_that_cannot_be_told_is_left_out(spoil):
    """Dealt out one after the other, it would answer another question."""
    runs = runs_of("s01")
    spoil(llms(runs)[1])
    assert told(read_trace(runs)) == SAID["s01"][:1]


def test_a_call_without_its_arguments_cannot_be_told():
    runs = runs_of("s01")
    message = llms(runs)[1]["outputs"]["generations"][0][0]["message"]["kwargs"]
    message["tool_calls"][0]["args"] = None
    assert told(read_trace(runs)) == SAID["s01"][:1]


def test_calls_that_an_early_sdk_joined_to_one_cannot_be_told():
    runs = runs_of("s01")
    message = llms(runs)[1]["outputs"]["generations"][0][0]["message"]["kwargs"]
    joined = {"name": "get_weatherget_time", "arguments": '{"city": "Oslo"}{"city": "Oslo"}'}
    message["tool_calls"] = []
    message["additional_kwargs"] = {"tool_calls": [{"id": "c", "function": joined}]}
    assert told(read_trace(runs)) == SAID["s01"][:1]


def test_a_run_that_went_on_after_a_person_had_answered_has_none():
    """Replayed from the question on, its agent would get answers to later ones."""
    runs = runs_of("s01")
    root = one(runs, parent_run_id=None)
    root["inputs"] = {"graph": None, "update": None, "resume": "yes", "goto": []}
    trace = read_trace(runs)
    assert trace.input == "Is Paris warmer than Oslo right now?"
    assert trace.answers == ()


def test_a_model_whose_clock_ran_backwards_took_no_time_that_is_known():
    runs = runs_of("s08")
    llm = one(runs, run_type="llm")
    llm["start_time"], llm["end_time"] = llm["end_time"], llm["start_time"]
    assert "latency_ms" not in read_trace(runs).answers[0].to_value()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ("RateLimitError(\"Error code: 429 - {'error': {'message': 'slow down'}}\")", 429),
        ("APIStatusError('HTTP 503 Service Unavailable')", 503),
        ("HTTPError: status code 500", 500),
    ],
)
def test_a_failure_of_the_models_api_is_an_answer_too(error, status):
    runs = runs_of("s01")
    llms(runs)[1].update(error=error, outputs=None)
    answers = read_trace(runs).answers
    assert [answer.status for answer in answers] == [None, status, None]
    value = to_session(read_trace(runs)).value
    assert read_session(value, Document(value, "s01")).model_responses[1].is_fault


def test_what_a_model_said_inside_of_a_tool_is_not_the_agents():
    runs = runs_of("s01")
    tool, llm = next(r for r in runs if r["run_type"] == "tool"), llms(runs)[-1]
    inner = json.loads(json.dumps(llm)) | {
        "id": "00000000-0000-0000-0000-00000000abcd",
        "parent_run_id": tool["id"],
        "dotted_order": tool["dotted_order"]
        + ".20261122T212927135764Z00000000-0000-0000-0000-00000000abcd",
        "start_time": tool["start_time"],
    }
    assert told(read_trace([*runs, inner])) == SAID["s01"]


@pytest.mark.parametrize(
    "outputs",
    [
        {
            "choices": [
                {"message": {"role": "assistant", "content": "Par"}, "finish_reason": "length"}
            ]
        },
        {
            "generations": [
                [
                    {
                        "text": "Par",
                        "generation_info": {"finish_reason": "length"},
                        "message": SAYS,
                    }
                ]
            ]
        },
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "Par"}],
            "stop_reason": "max_tokens",
        },
        {
            "output": [{"role": "assistant", "content": [{"type": "output_text", "text": "Par"}]}],
            "incomplete_details": {"reason": "max_output_tokens"},
        },
    ],
)
def test_an_answer_that_a_limit_of_tokens_cut_short_says_so(outputs):
    runs = runs_of("s08")
    one(runs, run_type="llm")["outputs"] = outputs
    (answer,) = read_trace(runs).answers
    assert (answer.text, answer.to_value()["finish"]) == ("Par", "length")


@pytest.mark.parametrize("outputs", ["Paris", {"output": "Paris"}])
def test_a_function_that_gives_a_text_is_a_model_too(outputs):
    runs = runs_of("s09")
    one(runs, run_type="llm")["outputs"] = outputs
    assert told(read_trace(runs)) == [("Paris", [])]


def test_there_are_not_more_than_a_session_may_well_hold():
    runs = runs_of("s08")
    llm = one(runs, run_type="llm")
    many = [
        {
            **llm,
            "id": f"00000000-0000-0000-0000-{n:012}",
            "dotted_order": "",
            "parent_run_id": runs[0]["id"],
        }
        for n in range(MAX_ANSWERS + 5)
    ]
    assert len(read_trace([r for r in runs if r is not llm] + many).answers) == MAX_ANSWERS


# Spans


ORDER = ("get_order", {"order_id": "A-7", "expand": ["items"]})
REFUND = ("", [("refund", {"order_id": "A-7", "amount": 12.5})])
LAST = ("I refunded 12.50 EUR.", [])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        *(
            (name, [("", [ORDER, ("get_customer", {"customer": customer})]), REFUND, LAST])
            for name, customer in (
                ("pydantic_ai", 42),
                ("pydantic_ai_v2", 42),
                ("openinference_openai_agents", "42"),
            )
        ),
        *(
            (
                name,
                [
                    ("", [ORDER, ("get_customer", {"customer": "42"})]),
                    ("", [("search", {"query": "refund rules"})]),
                    ("", [("now", {})]),
                    REFUND,
                    LAST,
                ],
            )
            for name in ("openinference_langgraph", "langsmith_otel")
        ),
    ],
)
def test_what_the_model_said_in_recorded_spans(name, said):
    found = json.loads((OTEL / f"{name}.json").read_text())
    assert told(read_spans(found if isinstance(found, list) else [found])) == said


def span(n, kind, parent=0, **attributes):
    began = 1_771_149_600_000_000_000 + n * 1_000_000
    return {
        "traceId": "0" * 31 + "1",
        "spanId": f"{n:016x}",
        "parentSpanId": f"{parent:016x}" if parent else "",
        "name": f"span {n}",
        "startTimeUnixNano": began,
        "endTimeUnixNano": began + 500_000,
        "attributes": {
            "gen_ai.operation.name": kind,
            "gen_ai.input.messages": json.dumps([{"role": "user", "content": "Refund A-7"}]),
            **attributes,
        },
    }


def says(text, **more):
    parts = [{"type": "text", "content": text}]
    return {
        "gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": parts, **more}]),
    }


def test_a_span_has_the_model_its_tokens_and_why_it_ended():
    about = {
        "gen_ai.request.model": "gpt-x",
        "gen_ai.response.model": "gpt-x-2026",
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.response.finish_reasons": ["length"],
    }
    (answer,) = read_spans([span(1, "chat", **says("Par"), **about)]).answers
    assert answer.to_value() == {
        "text": "Par",
        "finish": "length",
        "model": "gpt-x-2026",
        "usage": {"input_tokens": 12, "output_tokens": 3},
        "latency_ms": 0.5,
    }
    (answer,) = read_spans([span(1, "chat", **says("Par", finish_reason="length"))]).answers
    assert answer.is_cut


def test_spans_inside_of_tools_and_around_others_say_nothing_twice():
    spans = [
        span(1, "invoke_agent"),
        span(2, "chat", 1, **says("outer")),
        span(3, "chat", 2, **says("inner")),
        span(4, "execute_tool", 1, **{"gen_ai.tool.name": "summarise"}),
        span(5, "chat", 4, **says("of the tool")),
        span(6, "chat", 1, **says("last")),
    ]
    assert [answer.text for answer in read_spans(spans).answers] == ["inner", "last"]


def test_a_span_that_says_nothing_ends_them_and_a_failed_request_does_not():
    first, last = span(2, "chat", 1, **says("first")), span(4, "chat", 1, **says("last"))
    failed = span(3, "chat", 1) | {"statusCode": 2, "statusMessage": "Error code: 529 - busy"}
    trace = read_spans([span(1, "invoke_agent"), first, failed, last])
    assert [(answer.text, answer.status) for answer in trace.answers] == [
        ("first", None),
        ("", 529),
        ("last", None),
    ]
    trace = read_spans([span(1, "invoke_agent"), first, span(3, "chat", 1), last])
    assert [answer.text for answer in trace.answers] == ["first"]


def observation(n, kind, **more):
    at = datetime(2026, 2, 15, 10, 0, n, tzinfo=UTC).isoformat()
    common = {"id": f"o{n}", "traceId": "t1", "type": kind, "name": kind, "level": "DEFAULT"}
    return {**common, "startTime": at, "endTime": at, **more}


@pytest.mark.parametrize(
    "usage",
    [{"usageDetails": {"input": 12, "output": 3}}, {"promptTokens": 12, "completionTokens": 3}],
)
def test_what_the_model_said_in_observations(usage):
    call = {"id": "c1", "function": {"name": "get_order", "arguments": '{"order": "A-7"}'}}
    rows = [
        observation(
            1,
            "GENERATION",
            input=[{"role": "user", "content": "Refund A-7"}],
            output={"role": "assistant", "content": None, "tool_calls": [call]},
            model="gpt-x",
            **usage,
        ),
        observation(2, "GENERATION", input="…", output="I could not refund it."),
    ]
    first, last = read_observations(rows).answers
    assert first.to_value() == {
        "tool_calls": [{"tool": "get_order", "args": {"order": "A-7"}, "id": "c1"}],
        "model": "gpt-x",
        "usage": {"input_tokens": 12, "output_tokens": 3},
        "latency_ms": 0.0,
    }
    assert last.text == "I could not refund it."
