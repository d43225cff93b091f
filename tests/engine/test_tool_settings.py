"""Settings of a tool in the value of a replay file."""

import copy

import pytest

from replays_app.engine.tool_settings import Tool, tools_of, with_match, with_tool

PLAIN = {"id": "s", "tool_responses": [{"tool": "search", "args": {"q": 1, "ts": 2}}]}
STUBBED = {
    **PLAIN,
    "replay": {
        "latency": "real",
        "tools": {
            "search": {"on_miss": "last", "ignore_args": ["ts"], "stub": None},
            "mail": {"stubs": [{"args": {"to": "a"}, "response": 1}], "match": "exact"},
        },
    },
}


@pytest.mark.parametrize(
    ("said", "tools"),
    [
        ({"on_miss": "fail"}, {"search": {"on_miss": "fail"}}),
        ({"match": "exact"}, {"search": {"match": "exact"}}),
        ({"ignore_args": ["a", "b", "a"]}, {"search": {"ignore_args": ["a", "b"]}}),
    ],
)
def test_a_setting_is_put_where_there_was_none(said, tools):
    before = copy.deepcopy(PLAIN)
    assert with_tool(PLAIN, "search", **said) == {**PLAIN, "replay": {"tools": tools}}
    assert before == PLAIN


def test_what_is_not_named_stays():
    changed = with_tool(STUBBED, "search", match="auto")
    assert changed["replay"]["tools"]["search"] == {
        "on_miss": "last",
        "ignore_args": ["ts"],
        "stub": None,
        "match": "auto",
    }
    assert changed["replay"]["tools"]["mail"] == STUBBED["replay"]["tools"]["mail"]


@pytest.mark.parametrize("nothing", [None, ""])
def test_what_is_taken_out_leaves_no_trace(nothing):
    value = with_tool(PLAIN, "search", on_miss="fail", match="exact", ignore_args=["q"])
    assert with_tool(value, "search", on_miss=nothing, match=nothing, ignore_args=[]) == PLAIN
    assert with_match(with_match(PLAIN, "sequence"), nothing) == PLAIN


def test_the_latency_and_other_tools_outlive_a_setting():
    value = with_tool(with_match(STUBBED, "exact"), "mail", match=None)
    assert value["replay"]["latency"] == "real"
    assert value["replay"]["match"] == "exact"
    assert "match" not in value["replay"]["tools"]["mail"]


def test_tools_are_those_that_were_called_and_those_that_are_set():
    assert tools_of(STUBBED) == [
        Tool("search", 1, ["q", "ts"], "last", None, ["ts"], has_stub=True),
        Tool("mail", 0, ["to"], None, "exact", [], stubs=1),
    ]
    assert [tool.is_set for tool in tools_of(PLAIN)] == [False]
