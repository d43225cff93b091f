"""What is found of a check, and the lines that would do."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from replays_app.engine.agents.checkup import checkup
from replays_app.engine.agents.explain import Seen, sentence
from replays_app.engine.agents.reach import DOORS
from replays_app.engine.clock import VirtualClock
from replays_app.engine.formats.agent import AgentConfig, finish_agent
from replays_app.engine.formats.document import Document
from replays_app.engine.formats.session import Session
from replays_app.engine.tape import Tape, TapeSettings
from replays_app.engine.values import Evidence, ModelCall, Report

GOOD = (Seen(step="configuration", ok=True, saw="."), Seen(step="request", ok=True, saw="."))
STARTED = {"start": "python agent.py --port {port}", "endpoint": "http://127.0.0.1:{port}/invoke"}
SEARCH = {"match_url": ("GET http://search.example/*",)}


def session(*tools: str) -> Session:
    records = tuple({"tool": tool, "args": {"q": 1}, "response": 1} for tool in tools)
    value = {"id": "s", "input": "hi", "contract": "c", "tool_responses": records}
    return Session.model_validate(value, strict=False)


def look(agent: AgentConfig, asked: Session, *, calls=(), blocked=(), live=(), **evidence):
    """`calls`: (tool, args); `blocked`: (method, url, door, expected)."""
    settings = TapeSettings.resolve(asked, agent)
    tape = Tape(asked, settings=settings, clock=VirtualClock())
    for tool, args in calls:
        play = tape.begin(tool, args, now_ms=0, door="proxy", method="GET", url="http://x/")
        tape.end(play, now_ms=0)
    for method, url, door, expected in blocked:
        tape.end(tape.blocked(method, url, expected, now_ms=0, door=door), now_ms=0)
    for url in live:
        tape.end(tape.passed_through("POST", url, now_ms=0), now_ms=0, status=200)
    made, report = tape.finish()
    values = {"answer": "a", "injection": "proxy", "calls": made, "report": report} | evidence
    return checkup(agent, asked, GOOD, Evidence(**values))


def agent(**fields) -> AgentConfig:
    return AgentConfig(**{**STARTED, **fields})


def test_an_agent_that_does_as_recorded_has_nothing_to_change():
    found = look(agent(tools={"search": SEARCH}), session("search"), calls=[("search", {"q": 1})])
    assert (found.tried, found.findings) == (True, ())
    (tool,) = found.tools
    assert tool.words == "1 call through the proxy, 1 answered from the recording (1 recorded)"


@pytest.mark.parametrize("step", ["configuration", "connection", "started", "gateway"])
def test_an_agent_that_could_not_be_asked_is_no_finding_about_its_tools(step):
    failed = Seen(step=step, ok=False, saw="It is gone.", remedy="Bring it back.")
    found = checkup(agent(tools={"search": SEARCH}), session(), (*GOOD, failed), None)
    assert (found.tried, found.tools) == (False, ())
    assert [(f.saw, f.remedy) for f in found.findings] == [("It is gone.", "Bring it back.")]


def test_a_bad_answer_is_something_to_change():
    bad = Seen(step="answer", ok=False, saw="It is no JSON.", remedy="Correct response_path.")
    found = checkup(agent(), session(), (*GOOD, bad), Evidence(answer=None, injection="proxy"))
    assert found.tried
    assert [f.saw for f in found.findings] == ["It is no JSON."]


@pytest.mark.parametrize("door", sorted(DOORS))
def test_every_door_has_a_remedy_where_no_call_came(door):
    found = look(agent(tools={"search": SEARCH}), session(), injection=door)
    (finding,) = found.findings
    assert "no call of search came to the gateway" in finding.saw
    assert "Perhaps the question needs none" in finding.saw
    assert finding.remedy.startswith("Its client may ignore the ")
    assert len(finding.remedy) > 60


def test_an_agent_without_tools_misses_none():
    assert look(agent(), session()).findings == ()


def test_an_agent_outside_of_the_gateway_is_told_how_to_get_in():
    config = AgentConfig(endpoint="http://127.0.0.1:9/", tools={"search": SEARCH})
    (finding,) = look(config, session(), injection="none").findings
    assert "reached the real tools" in finding.saw
    assert_readable(finding.yaml)


@pytest.mark.parametrize(
    ("host", "block"),
    [
        ("api.openai.com", "passthrough"),
        ("mine.openai.azure.com", "passthrough"),
        ("api.smith.langchain.com", "expect_blocked"),
        ("notapi.openai.com.evil.example", None),
        ("evilsentry.io", None),
    ],
)
def test_a_blocked_host_gets_the_lines_that_fit_it(host, block):
    blocked = [("CONNECT", f"https://{host}/", "proxy", False)] * 3
    (finding,) = look(agent(), session(), blocked=blocked).findings
    assert host in finding.saw
    assert "(3 times)" in finding.saw
    lines = assert_readable(finding.yaml)
    if block:
        assert lines == {block: [f"https://{host}/*"]}
    else:
        assert "match_url" in finding.yaml
        assert f'#  passthrough: [ "https://{host}/*" ]' in finding.yaml


def assert_readable(text: str):
    """Lines that are proposed are lines that can be read."""
    lines = yaml.safe_load(text)["agent"]
    for key in lines:
        assert key in AgentConfig.model_fields
    value = {**STARTED, **lines}
    finish_agent(
        value, Document(value, "f"), lambda p: ("agent", *p), environ={}, directory=Path.cwd()
    )
    return lines


@pytest.mark.parametrize(
    ("config", "tool"),
    [
        (agent(tools={"web search": SEARCH}), "web search"),
        (AgentConfig(type="python", endpoint="m:f"), "refund-now"),
    ],
)
def test_the_lines_for_a_tool_that_never_came_can_be_read(config, tool):
    (finding,) = look(config, session(tool), answer="a").findings
    lines = yaml.safe_load(finding.yaml)["agent"]
    assert set(lines) <= set(AgentConfig.model_fields)
    assert tool in finding.yaml


def test_no_line_says_a_token():
    config = AgentConfig(
        endpoint="http://127.0.0.1:9/",
        gateway="tool_url",
        gateway_listen="127.0.0.1:8899",
        gateway_token="s3cret-token-of-theirs",
        tools={"search": SEARCH},
    )
    (finding,) = look(config, session(), injection="tool_url").findings
    assert "127.0.0.1:8899/t/<gateway_token>/search" in finding.yaml
    assert "s3cret" not in finding.yaml


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (
            {"endpoint": "http://127.0.0.1:9/", "gateway_url": "http://127.0.0.1:8899/"},
            "SEARCH_URL=http://127.0.0.1:8899/t/local/search",
        ),
        ({**STARTED, "gateway": "llm"}, 'OPENAI_BASE_URL: "{llm_url}/v1"'),
        ({**STARTED, "gateway": "proxy"}, 'SEARCH_URL: "{tool_url}/search"'),
    ],
)
def test_the_lines_fit_the_way_to_the_agent(fields, line):
    config = AgentConfig(tools={"search": SEARCH}, **fields)
    (finding,) = look(config, session()).findings
    assert line in finding.yaml
    assert set(yaml.safe_load(finding.yaml)["agent"]) <= set(AgentConfig.model_fields)


def test_questions_to_the_model_are_counted_and_trouble_with_them_is_a_finding():
    trouble = "no answer from http://model/v1; check agent.llm.upstream"
    model_calls = (
        ModelCall(number=1, api="chat", detail=trouble),
        ModelCall(number=2, api="chat", source="recorded", detail="recorded: HTTP 500"),
    )
    found = look(agent(), session(), model_calls=model_calls)
    assert found.model == "2 questions through the LLM door, 1 answered from the recording"
    (finding,) = found.findings
    assert "no answer from http://model/v1" in finding.saw
    assert finding.remedy == "Check agent.llm.upstream."


def test_what_a_report_notes_is_told_but_not_twice():
    report = Report(notes=("no recorded call reached the gateway: x", "it may really run"))
    found = look(agent(tools={"search": SEARCH}), session("search"), report=report)
    assert found.notes == ("it may really run",)
    assert len(found.findings) == 1


def test_a_line_for_a_blocked_page_has_no_credentials_and_no_query():
    blocked = [("GET", "http://user:pw@host.example/find?key=s3cret", "proxy", False)]
    (finding,) = look(agent(), session(), blocked=blocked).findings
    assert 'match_url: "GET http://host.example/find"' in finding.yaml
    assert "s3cret" not in finding.yaml
    assert "pw" not in finding.yaml


def test_what_went_past_the_proxy_is_said_and_what_was_expected_is_none():
    blocked = [
        ("CONNECT", "http://db.internal:5432", "hooks", False),
        ("GET", "http://metrics.example/", "proxy", True),
    ]
    found = look(agent(), session(), blocked=blocked, live=["https://api.openai.com/v1"])
    (finding,) = found.findings
    assert finding.saw.startswith("Blocked past the proxy")
    assert [(r.past, r.expected) for r in found.blocked] == [(True, False), (False, True)]
    assert [r.request for r in found.live] == ["POST https://api.openai.com/v1"]


def test_recorded_tools_that_were_never_called_and_calls_without_an_answer_are_told():
    found = look(
        agent(), session("search", "mail"), calls=[("search", {"q": 1}), ("search", {"q": 2})]
    )
    miss, never = found.findings
    assert "search asked for what the recording does not have" in miss.saw
    assert "flakestorm replay" in miss.remedy
    assert never.saw == "Recorded, and never called: mail."


def test_without_a_recording_a_call_is_no_miss_and_the_others_are_worth_a_question():
    found = look(agent(tools={"a": SEARCH, "b": SEARCH}), session(), calls=[("a", {})])
    assert found.findings == ()
    assert [tool.words for tool in found.tools] == ["1 call through the proxy", "never called"]
    assert any("Not called in this check: b." in note for note in found.notes)


def test_of_very_many_hosts_the_first_get_lines():
    blocked = [("GET", f"http://h{n}.example/", "proxy", False) for n in range(60)]
    found = look(agent(), session(), blocked=blocked)
    assert len(found.blocked) == 50
    assert found.findings[-1].saw == "40 more hosts were blocked."


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("the agent answered", "The agent answered."),
        ("agent.endpoint names nothing", "agent.endpoint names nothing."),
        ("agent.tools.x.function: it is not there", "agent.tools.x.function: it is not there."),
        ("", ""),
    ],
)
def test_a_field_is_named_as_it_is_written(words, said):
    assert sentence(words) == said
