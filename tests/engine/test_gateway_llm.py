"""The LLM door: results of local functions are replaced by the recording in the next question."""

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from replays_app.engine.gateway.marks import run_key
from tests.fakes.gateways import make_agent, make_session
from tests.fakes.model_api import USAGE, chat, chat_events, chat_results
from tests.fakes.model_api import messages as messages_answer
from tests.fakes.plain_agent import PATHS, TIMEOUT_S, Agent, data_of

APIS = ["chat", "responses", "messages"]
ONE = {"tool": "search", "args": {"q": "one"}, "response": "first"}
TWO = {"tool": "search", "args": {"q": "two"}, "response": {"hits": [1, "ü"]}}
QUOTE = {"tool": "quote", "args": {"symbol": "ACME"}, "response": 7.25, "latency_ms": 300}
NEWS = {"tool": "news", "args": {"topic": "ACME"}, "response": "none\n", "latency_ms": 200}
ALL = (ONE, TWO, QUOTE, NEWS)
TOLD = 'first | {"hits": [1, "ü"]} | 7.25 | none\n'


def agent_of(model, **fields):
    llm = {"upstream": model.url, **fields.pop("llm", {})}
    return make_agent(gateway="llm", llm=llm, **fields)


@pytest.fixture(params=[False, True], ids=["whole", "streamed"])
def stream(request):
    return request.param


@pytest.mark.parametrize("api", APIS)
def test_the_model_is_told_what_was_recorded(beside, listener, model, api, stream):
    agent = Agent(listener.llm_url, api, stream=stream)
    with beside.attempt(listener, make_session(*ALL), agent_of(model)) as attempt:
        assert agent.ask() == TOLD
    assert [name for name, _ in agent.ran] == ["search", "search", "quote", "news"]
    assert attempt.hows == ["exact"] * 4
    assert {call.door for call in attempt.calls} == {"llm"}
    assert attempt.report.identical
    # Two at once count once, the longest.
    assert attempt.deck.tape.virtual_ms == 300


@pytest.mark.parametrize("api", APIS)
def test_every_question_is_in_the_report_with_its_tokens(beside, listener, model, api, stream):
    with beside.attempt(listener, make_session(*ALL), agent_of(model)) as attempt:
        Agent(listener.llm_url, api, stream=stream).ask()
    calls = attempt.model_calls
    assert [call.number for call in calls] == [1, 2, 3, 4]
    assert [call.tools for call in calls] == [
        ("search",),
        ("search",),
        ("quote", "news"),
        (),
    ]
    assert [call.replaced for call in calls] == [(), (1,), (2,), (3, 4)]
    assert [call.text for call in calls] == ["", "", "Both now.", TOLD]
    for call in calls:
        assert (call.api, call.model, call.streamed) == (api, "scripted-1", stream)
        assert (call.status, call.source, call.detail) == (200, "live", "")
        assert (call.input_tokens, call.output_tokens) == USAGE
        assert call.real_ms > 0


@pytest.mark.parametrize("api", APIS)
def test_a_question_without_new_results_goes_on_as_it_came(beside, listener, model, api):
    question = b'{ "model":"m","stream":false, "messages":[],"input":[],  "x": 1.0 }'
    with beside.attempt(listener, make_session(), agent_of(model)):
        httpx.post(f"{listener.llm_url}{PATHS[api]}?beta=true", content=question)
    (hit,) = model.hits
    assert (hit.method, hit.path, hit.body) == ("POST", f"{PATHS[api]}?beta=true", question)


# What a model is told of a failure


FAULTS = [
    ({"error": "ValueError: no such symbol"}, "ValueError: no such symbol"),
    ({"status": 504, "response": "gateway timeout"}, "HTTP 504: gateway timeout"),
    ({"status": 503}, "HTTP 503"),
    ({"status": 0, "response": "Connection reset by peer"}, "Connection reset by peer"),
    ({"status": 0}, "the connection failed"),
    ({"error": "KeyError: 'x'", "seen": "Error: KeyError('x')"}, "Error: KeyError('x')"),
    ({"status": 500, "seen": {"failed": True}}, '{"failed": true}'),
]


@pytest.mark.parametrize(("record", "told"), FAULTS)
@pytest.mark.parametrize("api", APIS)
def test_a_recorded_failure_is_told_by_the_custom_of_the_api(
    beside, listener, model, api, record, told
):
    model.turns = [{"calls": [("search", {"q": "one"})]}]
    session = make_session({"tool": "search", "args": {"q": "one"}, **record})
    with beside.attempt(listener, session, agent_of(model)) as attempt:
        said = Agent(listener.llm_url, api, stream=False).ask()
    assert said == (f"failed: {told}" if api == "messages" else told)
    assert attempt.calls[0].fault
    assert attempt.report.identical


def test_a_flag_of_the_agent_does_not_stay_on_an_answer_that_was_recorded_as_good(
    beside, listener, model
):
    model.turns = [{"calls": [("search", {"q": "one"})]}]

    class Failing(Agent):
        def _results(self, calls):
            (turn,) = super()._results(calls)
            turn["content"][0]["is_error"] = True
            return [turn]

    with beside.attempt(listener, make_session(ONE), agent_of(model)):
        assert Failing(listener.llm_url, "messages", stream=False).ask() == "first"


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("call", [("search", {"q": "else"}), ("unheard", {}), ("quote", {})])
def test_a_call_without_a_record_is_a_divergence_that_the_model_is_told(
    beside, listener, model, api, call
):
    model.turns = [{"calls": [call]}]
    settings = {"match": "exact"}
    with beside.attempt(listener, make_session(ONE, **settings), agent_of(model)) as attempt:
        said = Agent(listener.llm_url, api, stream=False).ask()
    assert "flakestorm_divergence" in said
    assert said.startswith("failed: ") is (api == "messages")
    assert attempt.hows == ["miss"]
    assert attempt.report.misses == (1,)
    assert attempt.calls[0].tool == call[0]
    assert 'expected search({"q": "one"})' in attempt.report.first_divergence


def test_siblings_in_one_answer_never_guess_each_others_record(beside, listener, model):
    """Neither call is recorded; a guess for the first would take the record from somebody."""
    model.turns = [{"calls": [("search", {"q": "x"}), ("search", {"q": "two"})]}]
    with beside.attempt(listener, make_session(TWO, ONE), agent_of(model)) as attempt:
        said = Agent(listener.llm_url, "chat", stream=False).ask()
    assert attempt.hows == ["miss", "exact"]
    assert said.endswith('{"hits": [1, "ü"]}')


def test_a_single_call_with_other_arguments_gets_the_next_record(beside, listener, model):
    model.turns = [{"calls": [("search", {"q": "x"})]}]
    with beside.attempt(listener, make_session(ONE), agent_of(model)) as attempt:
        assert Agent(listener.llm_url, "chat", stream=False).ask() == "first"
    assert attempt.hows == ["args_differ"]


@pytest.mark.parametrize(
    ("tool", "told", "how"),
    [
        ({"stub": "made up"}, "made up", "stub"),
        ({"on_miss": "passthrough"}, "really search", "passthrough"),
    ],
)
def test_what_a_setting_says_of_a_miss_holds_here_too(beside, listener, model, tool, told, how):
    model.turns = [{"calls": [("search", {"q": "one"})]}]
    session = make_session(tools={"search": tool})
    with beside.attempt(listener, session, agent_of(model)) as attempt:
        assert Agent(listener.llm_url, "chat", stream=False).ask() == told
    assert attempt.hows == [how]
    assert attempt.report.misses == ()


@pytest.mark.parametrize("bad", ["{not json", "[1]", '"text"', "{" * 5000, '{"q": NaN}'])
def test_arguments_that_are_no_object_are_told_as_they_are(beside, listener, model, bad):
    def odd(handler):
        handler_results = [m for m in hits(handler)["messages"] if m["role"] == "tool"]
        answer = chat({"text": "done"} if handler_results else {"calls": [("search", {})]})
        for call in answer["choices"][0]["message"].get("tool_calls", ()):
            call["function"]["arguments"] = bad
        handler.send(200, json.dumps(answer).encode())

    def hits(handler):
        return handler.server_api.hits[-1].json

    model.odd = odd

    class Careless(Agent):
        def _results(self, calls):
            return [{"role": "tool", "tool_call_id": calls[0][0], "content": "could not read"}]

    with beside.attempt(listener, make_session(ONE), agent_of(model)) as attempt:
        assert Careless(listener.llm_url, "chat", stream=False).ask() == "done"
    assert list(attempt.calls[0].args) == ["body"]
    json.dumps(attempt.calls[0].args, allow_nan=False)


@pytest.mark.parametrize("deep", ["[" * 600 + "]" * 600, "NaN"])
def test_arguments_that_could_not_be_kept_are_text(beside, listener, model, deep):
    """Anthropic's are an object; so are those in an agent's own history."""

    def odd(handler):
        done = b"tool_result" in handler.server_api.hits[-1].body
        turn = {"text": "done"} if done else {"calls": [("search", {"q": "@@"})]}
        body = json.dumps(messages_answer(turn)).replace('"@@"', deep)
        handler.send(200, body.encode())

    model.odd = odd
    url = f"{listener.llm_url}/v1/messages"
    with beside.attempt(listener, make_session(ONE), agent_of(model)) as attempt:
        first = httpx.post(url, json={"messages": []}).text
        called = re.search(r"call_\w+", first)[0]
        call = {"type": "tool_use", "id": called, "name": "search", "input": {"q": "@@"}}
        result = {"type": "tool_result", "tool_use_id": called, "content": "real"}
        turns = [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
        question = json.dumps({"messages": turns}).replace('"@@"', deep)
        again = httpx.post(url, content=question)
    assert again.json()["content"][0]["text"] == "done"
    assert b'"content": "first"' in model.hits[-1].body
    json.dumps(attempt.calls[0].args, allow_nan=False)


# Whose result is whose


def test_an_id_that_an_api_uses_again_is_another_call_each_time(beside, listener, model):
    """Some servers count from 0 in every answer."""
    calls = [[("search", {"q": "one"})], [("search", {"q": "two"})], [("search", {"q": "one"})]]
    turns = [{"calls": each} for each in calls]

    def odd(handler):
        results = chat_results(handler.server_api.hits[-1].json)
        turn = turns[len(results)] if len(results) < 3 else {"text": " | ".join(results)}
        answer = chat(turn)
        for call in answer["choices"][0]["message"].get("tool_calls", ()):
            call["id"] = "call_0"
        handler.send(200, json.dumps(answer).encode())

    model.odd = odd
    again = {**ONE, "response": "again"}
    with beside.attempt(listener, make_session(ONE, TWO, again), agent_of(model)) as attempt:
        said = Agent(listener.llm_url, "chat", stream=False).ask()
    assert said == 'first | {"hits": [1, "ü"]} | again'
    assert attempt.report.identical


def test_an_agent_may_give_calls_ids_of_its_own(beside, listener, model):
    class Renaming(Agent):
        def _model(self, client, turns):
            said, calls, own = super()._model(client, turns)
            for call in own[0].get("tool_calls") or ():
                call["id"] = "mine-" + call["id"][-9:]
            calls = [("mine-" + called[-9:], *rest) for called, *rest in calls]
            return said, calls, own

    with beside.attempt(listener, make_session(*ALL), agent_of(model)) as attempt:
        assert Renaming(listener.llm_url, "chat", stream=False).ask() == TOLD
    assert attempt.report.identical


@pytest.mark.parametrize("api", APIS)
def test_results_of_earlier_turns_stay_and_are_no_calls(beside, listener, model, api):
    """A conversation may begin with a history that holds tools."""
    histories = {
        "chat": [
            {"role": "user", "content": "before"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "old", "function": {"name": "search", "arguments": '{"q": "one"}'}}
                ],
            },
            {"role": "tool", "tool_call_id": "old", "content": "of old"},
            {"role": "assistant", "content": "so it is"},
            {"role": "user", "content": "and now?"},
        ],
        "responses": [
            {"type": "function_call", "call_id": "old", "name": "search", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "old", "output": "of old"},
            {"role": "assistant", "content": "so it is"},
            {"role": "user", "content": "and now?"},
        ],
        "messages": [
            {"role": "user", "content": "before"},
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "old", "name": "search", "input": {}}],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "old", "content": "of old"}],
            },
            {"role": "assistant", "content": "so it is"},
            {"role": "user", "content": "and now?"},
        ],
    }
    field = "input" if api == "responses" else "messages"
    question = {"model": "m", field: histories[api]}
    with beside.attempt(listener, make_session(ONE), agent_of(model)) as attempt:
        httpx.post(f"{listener.llm_url}{PATHS[api]}", json=question)
    assert model.hits[0].json == question
    assert attempt.calls == ()
    assert attempt.notes == []


def test_a_result_that_no_answer_asked_for_is_told_of(beside, listener, model):
    """The agent's first question did not come through the door."""
    history = [
        {
            "role": "assistant",
            "tool_calls": [{"id": "x", "function": {"name": "search", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "x", "content": "real"},
    ]
    with beside.attempt(listener, make_session(ONE), agent_of(model)) as attempt:
        for _ in range(2):
            httpx.post(
                f"{listener.llm_url}/v1/chat/completions", json={"model": "m", "messages": history}
            )
    (note,) = attempt.notes
    assert note.startswith("1 tool result in questions to the model could not be replaced")


def test_a_stateful_responses_conversation_is_told_by_its_ids_alone(beside, listener, model):
    """With previous_response_id the question holds nothing but the new results."""
    model.turns = [{"calls": [("search", {"q": "one"}), ("search", {"q": "two"})]}]
    url = f"{listener.llm_url}/v1/responses"
    with beside.attempt(listener, make_session(ONE, TWO), agent_of(model)) as attempt:
        first = httpx.post(url, json={"model": "m", "input": "go"}).json()
        outputs = [
            {"type": "function_call_output", "call_id": item["call_id"], "output": "real"}
            for item in reversed(first["output"])
        ]
        body = {"model": "m", "previous_response_id": first["id"], "input": outputs}
        answer = httpx.post(url, json=body).json()
    assert answer["output"][0]["content"][0]["text"] == '{"hits": [1, "ü"]} | first'
    assert attempt.report.identical


def test_conversations_of_one_attempt_get_each_their_own(beside, listener, model):
    marks = [f"m{n}" for n in range(12)]
    records = [
        {"tool": "search", "args": {"q": mark}, "response": f"answer-{mark}"} for mark in marks
    ]

    def odd(handler):
        body = handler.server_api.hits[-1].json
        results = chat_results(body)
        asked = body["messages"][0]["content"]
        turn = {"text": results[0]} if results else {"calls": [("search", {"q": asked})]}
        handler.send(200, json.dumps(chat(turn)).encode())

    model.odd = odd
    with (
        beside.attempt(listener, make_session(*records), agent_of(model)) as attempt,
        ThreadPoolExecutor(len(marks)) as pool,
    ):
        agents = [Agent(listener.llm_url, "chat", stream=False) for _ in marks]
        said = list(pool.map(lambda agent, mark: agent.ask(mark), agents, marks))
    assert said == [f"answer-{mark}" for mark in marks]
    assert attempt.hows == ["exact"] * len(marks)


def test_attempts_at_once_never_see_each_others_tape(beside, model):
    def one(mark):
        records = [{**record, "response": f"{mark}-{n}"} for n, record in enumerate(ALL)]
        own = beside.listen()
        with beside.attempt(own, make_session(*records), agent_of(model)) as attempt:
            said = Agent(own.llm_url, APIS[mark % 3], stream=mark % 2 == 0).ask()
        beside.run(own.close())
        return said == " | ".join(f"{mark}-{n}" for n in range(4)) and attempt.report.identical

    with ThreadPoolExecutor(20) as pool:
        assert all(pool.map(one, range(20)))


def test_what_an_agent_changed_in_a_call_is_what_it_called(beside, listener, model):
    """A person may correct arguments before a tool runs."""
    model.turns = [{"calls": [("search", {"q": "wrong"})]}]

    class Correcting(Agent):
        def _model(self, client, turns):
            said, calls, own = super()._model(client, turns)
            for call in own[0].get("tool_calls") or ():
                call["function"]["arguments"] = '{"q": "one"}'
            return said, calls, own

    with beside.attempt(listener, make_session(TWO, ONE), agent_of(model)) as attempt:
        assert Correcting(listener.llm_url, "chat", stream=False).ask() == "first"
    assert attempt.hows == ["exact"]


def test_a_history_with_the_same_call_keeps_its_own_result(beside, listener, model):
    model.turns = [
        {"text": "unused", "calls": [("x", {})]},
        {"calls": [("search", {"q": "one"})]},
    ]
    function = {"name": "search", "arguments": '{"q": "one"}'}
    history = [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "old", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "old", "content": "of old"},
        {"role": "assistant", "content": "so it was"},
    ]

    class Remembering(Agent):
        def _model(self, client, turns):
            return super()._model(client, [*history, *turns])

    with beside.attempt(listener, make_session(ONE), agent_of(model)) as attempt:
        said = Remembering(listener.llm_url, "chat", stream=False).ask()
    assert said == "of old | first"
    assert attempt.report.identical


# Beside other doors


class OverHttp(Agent):
    """Its functions ask the tool URL, or another tool than they are called."""

    def __init__(self, listener, *, names=None, only=None, rename=lambda args: args):
        super().__init__(listener.llm_url, "chat", stream=False)
        self._listener, self._names, self._only = listener, names or {}, only
        self._rename = rename

    def tool(self, name, args):
        if self._only and name not in self._only:
            return super().tool(name, args)
        called = self._names.get(name, name)
        url = f"{self._listener.tool_url}/{called}"
        answer = httpx.post(url, json=self._rename(args), timeout=TIMEOUT_S)
        return f"read: {answer.text}"


def test_what_another_door_answered_is_not_consumed_again(beside, listener, model):
    with beside.attempt(listener, make_session(*ALL), agent_of(model)) as attempt:
        said = OverHttp(listener).ask()
    assert said.startswith("read: first | read: {")  # what the agent made of it stays
    assert [call.door for call in attempt.calls] == ["tool_url"] * 4
    assert attempt.report.identical
    assert [call.replaced for call in attempt.model_calls] == [()] * 4


def test_a_tool_over_http_may_stand_beside_a_local_one(beside, listener, model):
    with beside.attempt(listener, make_session(*ALL), agent_of(model)) as attempt:
        said = OverHttp(listener, only=("quote",)).ask()
    assert said == 'first | {"hits": [1, "ü"]} | read: 7.25 | none\n'
    assert sorted(call.door for call in attempt.calls) == ["llm", "llm", "llm", "tool_url"]
    assert attempt.report.identical


def test_a_function_around_a_tool_of_another_name_is_no_call_of_its_own(beside, listener, model):
    model.turns = [{"calls": [("look_up", {"what": "one"})]}]
    wrapper = OverHttp(
        listener, names={"look_up": "search"}, rename=lambda args: {"q": args["what"]}
    )
    with beside.attempt(listener, make_session(ONE), agent_of(model)) as attempt:
        assert wrapper.ask() == "read: first"
    assert [(call.tool, call.door) for call in attempt.calls] == [("search", "tool_url")]
    assert attempt.report.identical


def test_arguments_may_be_spelled_otherwise_on_the_way_to_the_tool(beside, listener, model):
    wrapper = OverHttp(listener, rename=lambda args: {"query": args["q"], "limit": 5})
    model.turns = [{"calls": [("search", {"q": "one"})]}]
    record = {"tool": "search", "args": {"query": "one", "limit": 5}, "response": "first"}
    with beside.attempt(listener, make_session(record), agent_of(model)) as attempt:
        assert wrapper.ask() == "read: first"
    assert attempt.report.identical


def test_a_sibling_does_not_claim_the_call_that_was_another_ones(beside, listener, model):
    """Of two calls of one tool only the second asks over HTTP; the first one is local."""
    model.turns = [{"calls": [("search", {"q": "one"}), ("search", {"q": "two"})]}]

    class Cached(OverHttp):
        def tool(self, name, args):
            return super().tool(name, args) if args["q"] == "two" else "from a cache"

    with beside.attempt(listener, make_session(ONE, TWO), agent_of(model)) as attempt:
        said = Cached(listener).ask()
    assert said == 'first | read: {"hits": [1, "\\u00fc"]}'
    assert attempt.report.identical


# Tools that must not run


@pytest.mark.parametrize("api", APIS)
def test_an_answer_that_asks_for_a_tool_with_side_effects_is_withheld(
    beside, listener, model, api, stream
):
    agent = agent_of(model, tools={"quote": {"side_effects": True}})
    asking = Agent(listener.llm_url, api, stream=stream)
    failed = pytest.raises((httpx.HTTPError, LookupError))
    with beside.attempt(listener, make_session(*ALL), agent) as attempt, failed:
        asking.ask()
    assert [name for name, _ in asking.ran] == ["search", "search"]
    assert attempt.report.misses == (3,)
    assert "quote, which has side effects" in attempt.report.first_divergence


def test_a_tool_with_side_effects_that_is_allowed_runs_and_is_told_of(beside, listener, model):
    agent = agent_of(model, tools={"quote": {"side_effects": "allow"}})
    with beside.attempt(listener, make_session(*ALL), agent) as attempt:
        assert Agent(listener.llm_url, "chat", stream=False).ask() == TOLD
    assert attempt.notes == [
        "the model asked for quote, which has side effects and may really run in the agent "
        "(tools.quote.side_effects: allow)"
    ]


# Several attempts at a time in one process


HEADER = "x-flakestorm-run"


@pytest.fixture
def shared(beside):
    made = beside.listen(run_header=HEADER)
    yield made
    beside.run(made.close())


def test_questions_that_name_their_run_are_told_its_own_recording(beside, shared, model):
    def one(mark):
        records = [{**record, "response": f"{mark}-{n}"} for n, record in enumerate(ALL)]
        token = f"run-{mark}"
        agent, session = agent_of(model), make_session(*records)
        with beside.attempt(shared, session, agent, run_key(token)) as attempt:
            asking = Agent(shared.llm_url, APIS[mark % 3], stream=mark % 2 == 0, **{HEADER: token})
            said = asking.ask()
        return said == " | ".join(f"{mark}-{n}" for n in range(4)) and attempt.report.identical

    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(one, range(12)))
    assert not any(name.lower() == HEADER for hit in model.hits for name in hit.headers)


def test_a_question_that_names_no_run_of_several_is_refused_in_each(beside, shared, model):
    agent = agent_of(model)
    with (
        beside.attempt(shared, make_session(), agent, run_key("a")) as first,
        beside.attempt(shared, make_session(), agent, run_key("b")) as second,
    ):
        answer = httpx.post(f"{shared.llm_url}/v1/messages", json={"model": "m", "messages": []})
    assert answer.status_code == 501
    assert model.hits == []
    for attempt in (first, second):
        assert attempt.report.misses == (1,)
        assert "does not say which run it belongs to" in attempt.report.first_divergence


def test_a_model_is_let_go_when_the_attempt_is_over_beside_others(beside, shared, model):
    begun, ended = threading.Event(), threading.Event()

    def odd(handler):
        begun.set()
        handler.connection.settimeout(TIMEOUT_S)
        assert handler.connection.recv(1) == b""
        ended.set()

    def ask():
        with pytest.raises(httpx.HTTPError):
            Agent(shared.llm_url, "chat", stream=False, **{HEADER: "a"}).ask()

    model.odd = odd
    with beside.attempt(shared, make_session(), agent_of(model), run_key("b")):
        with beside.attempt(shared, make_session(), agent_of(model), run_key("a")):
            thread = threading.Thread(target=ask)
            thread.start()
            assert begun.wait(TIMEOUT_S)
        assert ended.wait(TIMEOUT_S / 3)  # before the client's own limit
        thread.join()


def test_an_agent_may_stop_to_listen_when_it_knows_what_to_call(beside, listener, model):
    heard, gone = threading.Event(), threading.Event()
    events = list(chat_events(chat({"calls": [("search", {"q": "one"})]})))

    def paced():
        yield from events[:-3]  # all of the call, and no end
        assert heard.wait(TIMEOUT_S)

    def odd(handler):
        handler.events(paced(), end=False)
        handler.connection.settimeout(TIMEOUT_S)
        assert handler.connection.recv(1) == b""
        gone.set()

    model.odd = odd
    url = f"{listener.llm_url}/v1/chat/completions"
    with beside.attempt(listener, make_session(ONE), agent_of(model)) as attempt:
        with httpx.stream("POST", url, json={"stream": True}, timeout=TIMEOUT_S) as answer:
            read = ""
            for piece in answer.iter_text():
                read += piece
                if len(data_of(read)) == len(events) - 3:
                    break
        heard.set()
        assert gone.wait(TIMEOUT_S)
        model.odd = None
        call = data_of(read)[1]["choices"][0]["delta"]["tool_calls"][0]
        call["function"]["arguments"] = '{"q": "one"}'
        result = {"role": "tool", "tool_call_id": call["id"], "content": "real"}
        messages = [{"role": "assistant", "tool_calls": [call]}, result]
        model.turns = []
        said = httpx.post(url, json={"messages": messages}).json()
    assert said["choices"][0]["message"]["content"] == "first"
    assert attempt.report.identical
