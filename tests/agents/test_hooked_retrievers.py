"""LangChain's retrievers, unmodified: their documents are the recorded ones, and no search runs."""

import json

import pytest

from replays_app.engine.formats.session import Session, ToolResponse
from tests.agents.test_hooked_agents import agent, attempt

DOCUMENTS = [
    {"page_content": "Within 30 days.", "metadata": {"source": "policy.md", "page": 2}},
    {"page_content": "Not opened.", "id": "d1"},
]
FOUND = [["Within 30 days.", {"source": "policy.md", "page": 2}, None], ["Not opened.", {}, "d1"]]

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("hooked")]


def ask(input, *records, function="ask", **fields):
    responses = tuple(
        ToolResponse(kind="retriever", **{"response": DOCUMENTS} | record) for record in records
    )
    of = Session(id="s", input=input, contract="c", tool_responses=responses, **fields)
    evidence = attempt(agent("langchain_classic", f"by_retrievers:{function}", "python"), of)
    return json.loads(evidence.answer), evidence


def query(text):
    return {"query": text}


@pytest.mark.parametrize(
    ("input", "tool", "function"),
    [
        ("policy: laptops", "PolicyRetriever", "ask"),
        ("old: laptops", "Old", "ask"),
        ("chain: laptops", "PolicyRetriever", "ask"),
        ("named: laptops", "the search", "ask"),
        # The trace has the retriever's own name, where the run had none.
        ("named: laptops", "PolicyRetriever", "ask"),
        ("store: laptops", "VectorStoreRetriever", "ask"),
        # As a whole: what it would ask is not asked.
        ("both: laptops", "EnsembleRetriever", "ask"),
        ("policy: laptops", "PolicyRetriever", "ask_later"),
        ("later: laptops", "Later", "ask_later"),
        ("both: laptops", "EnsembleRetriever", "ask_later"),
    ],
)
def test_recorded_documents_come_as_documents_and_nothing_is_searched(input, tool, function):
    told, evidence = ask(input, {"tool": tool, "args": query("laptops")}, function=function)
    assert (told["found"], told["hits"]) == (FOUND, [])
    assert [(c.tool, c.how, c.args, c.door) for c in evidence.calls] == [
        (tool, "exact", query("laptops"), "hooks")
    ]
    assert told.get("seen") in (["ended with 2"], [], None)
    assert evidence.report.identical


@pytest.mark.parametrize(
    ("response", "found"),
    [
        ([], []),
        (None, []),
        ("one text", [["one text", {}, None]]),
        (["a", {"score": 1}], [["a", {}, None], ['{"score": 1}', {}, None]]),
        ({"documents": [{"page_content": "a"}]}, [["a", {}, None]]),
        (
            [{"lc": 1, "type": "constructor", "id": ["Document"], "kwargs": {"page_content": "a"}}],
            [["a", {}, None]],
        ),
    ],
)
def test_what_importers_leave_of_documents_comes_as_documents(response, found):
    told, _ = ask("policy: x", {"tool": "PolicyRetriever", "response": response})
    assert told["found"] == found


def test_several_queries_have_a_record_each():
    records = [
        {"tool": "PolicyRetriever", "args": query(word), "response": [word]} for word in ("a", "b")
    ]
    told, evidence = ask("many: a b", *records)
    assert told["found"] == [[["a", {}, None]], [["b", {}, None]]]
    assert evidence.report.identical


def test_a_recorded_fault_is_raised_past_the_callbacks():
    told, _ = ask("policy: x", {"tool": "PolicyRetriever", "error": "ValueError: no index"})
    assert told["found"] == "ValueError: no index"
    assert told["seen"] == ["failed: no index"]
    assert told["hits"] == []


def test_a_retriever_that_is_a_tool_is_asked_as_the_tool():
    record = {"tool": "look_up", "args": query("laptops"), "response": "Within 30 days."}
    told, evidence = ask("tool: laptops", record)
    assert (told["found"], told["hits"]) == ("Within 30 days.", [])
    assert [call.tool for call in evidence.calls] == ["look_up"]


def test_a_search_that_was_not_recorded_is_a_miss_and_does_not_run():
    told, evidence = ask("policy: x", {"tool": "mail"})
    assert told["found"].startswith("ReplayDivergence: ")
    assert told["hits"] == []
    assert evidence.report.misses == (1,)


def test_a_named_retriever_may_search_for_real():
    settings = {"tools": {"EnsembleRetriever": {"on_miss": "passthrough"}}}
    records = [{"tool": tool, "args": query("x")} for tool in ("PolicyRetriever", "Old")]
    told, evidence = ask("both: x", *records, replay=settings)
    # The ensemble runs, and what it asks is recorded.
    assert {(c.tool, c.how) for c in evidence.calls} == {
        ("EnsembleRetriever", "passthrough"),
        ("PolicyRetriever", "exact"),
        ("Old", "exact"),
    }
    assert (told["found"], told["hits"]) == (FOUND, [])


def test_outside_of_an_attempt_nothing_is_searched():
    told, _ = ask("x", {"tool": "PolicyRetriever"}, function="early")
    assert told["found"].startswith("OutsideReplay: the tool PolicyRetriever was called outside")
    assert told["hits"] == []
