import pytest

from replays_app.engine.clock import HOLD_MS, VirtualClock
from replays_app.engine.formats.config import AgentConfig
from replays_app.engine.formats.errors import FormatError
from replays_app.engine.formats.session import Session
from replays_app.engine.tape import MAX_CALLS, MISS_STATUS, Tape, TapeSettings


def session(*records, **replay):
    return Session.model_validate(
        {
            "id": "s",
            "input": "hi",
            "contract": "c",
            "tool_responses": tuple({"tool": "t", **r} for r in records),
            "replay": replay,
        },
        strict=False,
    )


def agent(**fields):
    return AgentConfig.model_validate(fields, strict=False)


def make_tape(*records, agent_config=None, **replay):
    recorded = session(*records, **replay)
    settings = TapeSettings.resolve(recorded, agent_config or agent())
    return Tape(recorded, settings=settings, clock=VirtualClock())


def begin(tape, tool="t", args=None, *, door="proxy", now_ms=0.0, **more):
    return tape.begin(
        tool, args, now_ms=now_ms, door=door, method="GET", url=f"http://x/{tool}", **more
    )


def call(tape, tool="t", args=None, **more):
    play = begin(tape, tool, args, **more)
    tape.end(play, now_ms=play.started_ms + 1)
    return play


@pytest.mark.parametrize(
    ("record", "status", "content_type", "body"),
    [
        ({"response": {"a": 1}}, 200, "application/json", b'{"a": 1}'),
        ({"response": [1]}, 200, "application/json", b"[1]"),
        ({"response": 7}, 200, "application/json", b"7"),
        ({"response": False}, 200, "application/json", b"false"),
        ({"response": "plain é"}, 200, "text/plain; charset=utf-8", "plain é".encode()),
        ({"response": '{"a" : 1}'}, 200, "application/json", b'{"a" : 1}'),
        ({"response": "\ud800"}, 200, "text/plain; charset=utf-8", b"?"),
        ({"response": None}, 200, "", b""),
        ({"error": "boom"}, 500, "", b""),
        (
            {"error": "boom", "status": 404, "response": "no"},
            404,
            "text/plain; charset=utf-8",
            b"no",
        ),
        ({"status": 504, "response": "late"}, 504, "text/plain; charset=utf-8", b"late"),
        (
            {"response": "<a/>", "headers": {"Content-Type": "text/xml"}},
            200,
            "text/xml",
            b"<a/>",
        ),
    ],
)
def test_a_record_goes_out_as_recorded(record, status, content_type, body):
    play = begin(make_tape(record))
    assert (play.kind, play.status) == ("answer", status)
    assert (play.content_type, play.body) == (content_type, body)


def test_status_0_drops_the_connection_and_is_a_fault():
    play = begin(make_tape({"status": 0}))
    assert (play.kind, play.status, play.fault) == ("drop", 0, True)


def test_headers_that_belong_to_the_connection_or_break_the_framing_are_not_sent():
    headers = {
        "X-Rate": "1",
        "Content-Length": "999",
        "Content-Encoding": "gzip",
        "Transfer-Encoding": "chunked",
        "Connection": "close",
        "Alt-Svc": 'h3=":443"',
        "X-Split": "a\r\nSet-Cookie: b",
        "bad name": "x",
        "Content-Type": "text/plain\r\nx: y",
    }
    play = begin(make_tape({"response": "x", "headers": headers}))
    assert play.headers == (("x-rate", "1"),)
    assert play.content_type == ""


def test_a_miss_tells_the_agent_and_the_report():
    tape = make_tape({"tool": "refund", "args": {"id": 7}})
    play = call(tape, "search_kb", {"q": "refund"})
    assert (play.kind, play.status) == ("miss", MISS_STATUS)
    assert b"flakestorm_divergence" in play.body
    assert ("x-should-retry", "false") in play.headers
    calls, report = tape.finish()
    assert report.misses == (1,)
    assert report.first_divergence == (
        'call 1: expected refund({"id": 7}), got search_kb({"q": "refund"})'
    )
    assert "replay.tools.search_kb.stubs" in calls[0].detail


def test_a_tool_that_nobody_named_is_never_passed_through():
    assert call(make_tape(), "unknown").kind == "miss"


def test_a_named_tool_may_be_passed_through_by_the_proxy_and_not_by_the_tool_url():
    tools = {"t": {"on_miss": "passthrough"}}
    tape = make_tape(tools=tools)
    assert call(tape).kind == "passthrough"
    play = call(tape, door="tool_url")
    assert play.kind == "miss"
    assert "only the proxy knows where the live tool is" in play.detail
    assert tape.finish()[1].misses == (2,)


def test_a_stub_answers_what_the_tape_cannot():
    tape = make_tape(tools={"t": {"stub": {"found": []}}})
    play = call(tape, args={"q": 1})
    assert (play.kind, play.how, play.body) == ("answer", "stub", b'{"found": []}')
    assert tape.finish()[1].identical


def test_a_retry_of_a_504_is_repeated_and_no_divergence():
    tape = make_tape({"status": 504, "latency_ms": 30_000})
    assert [call(tape, args={"q": 1}).status for _ in range(3)] == [504, 504, 504]
    calls, report = tape.finish()
    assert [c.how for c in calls] == ["order", "repeated", "repeated"]
    assert report.identical
    assert tape.virtual_ms == 90_000


def test_calls_are_numbered_as_they_arrive_and_carry_their_times():
    tape = make_tape({"response": 1}, {"response": 2})
    first = begin(tape, now_ms=5)
    second = begin(tape, now_ms=6)
    tape.end(second, now_ms=8)
    tape.end(first, now_ms=9)
    calls, _ = tape.finish()
    assert [(c.number, c.started_ms, c.real_ms) for c in calls] == [(1, 5, 4), (2, 6, 2)]


def test_a_guess_is_made_only_while_no_other_call_of_the_tool_is_in_flight():
    tape = make_tape({"args": {"id": 1}}, {"args": {"id": 2}}, {"args": {"id": 3}})
    first = begin(tape, args={"id": 8})
    assert first.how == "args_differ"
    assert first.delay_ms == HOLD_MS
    assert tape.snapshot() == {"t": 1}
    assert begin(tape, args={"id": 9}).how == "miss"
    assert begin(tape, args={"id": 3}).how == "exact"


def test_a_call_of_another_tool_does_not_stop_a_guess():
    tape = make_tape({"args": {"id": 1}}, {"tool": "u"})
    begin(tape, "u")
    assert begin(tape, args={"id": 8}).how == "args_differ"


def test_ending_a_call_twice_changes_nothing():
    tape = make_tape({"latency_ms": 100}, {"args": {"id": 1}})
    play = begin(tape)
    tape.end(play, now_ms=1)
    tape.end(play, now_ms=99)
    assert tape.snapshot() == {}
    assert tape.finish()[0][0].real_ms == 1


def test_a_blocked_host_is_a_miss_unless_it_was_expected():
    tape = make_tape()
    tape.blocked("POST", "https://telemetry.test/", True, now_ms=0)
    tape.blocked("GET", "https://unknown.test/x", False, now_ms=1)
    calls, report = tape.finish()
    assert [c.how for c in calls] == ["blocked", "blocked"]
    assert report.misses == (2,)
    assert report.blocked == ("POST https://telemetry.test/", "GET https://unknown.test/x")
    assert report.first_divergence.startswith("call 2: GET https://unknown.test/x is no tool")
    assert "expect_blocked" in calls[1].detail


def test_live_calls_are_evidence_and_no_divergence():
    tape = make_tape()
    play = tape.passed_through("POST", "https://model.test/v1", now_ms=1)
    tape.end(play, now_ms=5, status=200)
    calls, report = tape.finish()
    assert (calls[0].tool, calls[0].how, calls[0].status) == (None, "passthrough", 200)
    assert report.identical
    assert report.steps == ()


def test_the_session_overrides_the_agent_and_ignored_arguments_are_united():
    config = agent(
        match="exact",
        latency={"mode": "real"},
        tools={
            "t": {"ignore_args": ("ts",), "on_miss": "fail", "match": "exact"},
            "u": {"on_miss": "last", "match": "exact"},
        },
    )
    recorded = session(
        match="sequence",
        tools={"t": {"ignore_args": ("id",), "on_miss": "repeat_fault", "match": "auto"}},
    )
    settings = TapeSettings.resolve(recorded, config)
    assert (settings.match, settings.latency.mode) == ("sequence", "real")
    assert settings.tool("t").ignore_args == {"ts", "id"}
    assert settings.tool("t").on_miss == "repeat_fault"
    assert settings.tool("u").on_miss == "last"
    assert settings.tool("other").on_miss == "repeat_fault"
    assert [settings.tool(name).match for name in ("t", "u", "other")] == ["auto", "exact", None]


def test_on_miss_stub_without_a_stub_is_an_error_that_names_the_field():
    config = agent(tools={"t": {"on_miss": "stub"}})
    with pytest.raises(FormatError, match=r"replay\.tools\.t\.stub: on_miss is stub"):
        TapeSettings.resolve(session(), config)


@pytest.mark.parametrize("status", [100, 101])
def test_a_status_that_cannot_be_sent_is_an_error_that_names_the_record(status):
    with pytest.raises(FormatError, match=r"tool_responses\[1\]\.status"):
        make_tape({}, {"status": status})


def test_an_endless_loop_is_cut_off_and_reported():
    tape = make_tape({"response": "done"}, tools={"t": {"on_miss": "last"}})
    for _ in range(MAX_CALLS + 10):
        play = call(tape)
    assert (play.kind, play.status) == ("miss", 429)
    calls, report = tape.finish()
    assert len(calls) == MAX_CALLS + 1
    assert report.misses == (MAX_CALLS + 1,)
    assert report.notes == ("10 calls beyond the first 5,000 were refused",)
    assert report.loops == ("t(…) was called 5000 times; recorded 1",)


def test_large_arguments_are_cut_in_the_evidence():
    tape = make_tape()
    call(tape, args={"body": "x" * 100_000})
    assert tape.finish()[0][0].args["body"].endswith("… (100,000 characters)")


def test_overlapping_records_count_once_and_their_repeats_on_top():
    tape = make_tape(
        {"tool": "a", "latency_ms": 1000, "start_ms": 0},
        {"tool": "b", "latency_ms": 1000, "start_ms": 0, "status": 504},
    )
    call(tape, "a")
    call(tape, "b")
    assert tape.virtual_ms == 1000
    call(tape, "b")
    assert tape.virtual_ms == 2000


def test_a_stub_for_a_call_answers_it_as_often_as_it_is_made_and_is_no_divergence():
    stubs = ({"args": {"id": 1}, "response": {"ok": 1}, "latency_ms": 40},)
    tape = make_tape({"args": {"id": 9}, "response": "kept"}, tools={"t": {"stubs": stubs}})

    first, second = call(tape, args={"id": 1.0}), call(tape, args={"id": 1})
    recorded = call(tape, args={"id": 9})

    assert (first.how, first.body, first.latency_ms) == ("stub", b'{"ok": 1}', 40)
    assert (second.how, recorded.how) == ("stub", "exact")
    _, report = tape.finish()
    assert (report.misses, report.unused, report.first_divergence) == ((), (), "")


def test_a_stub_is_known_and_comes_before_a_guess_and_after_the_recording():
    stubs = ({"args": {"id": 1}, "response": "stub"},)
    tape = make_tape({"args": {"id": 1}, "response": "kept"}, tools={"t": {"stubs": stubs}})

    assert [call(tape, args={"id": 1}).response for _ in range(2)] == ["kept", "stub"]
    tape = make_tape({"args": {"id": 2}, "response": "kept"}, tools={"t": {"stubs": stubs}})
    assert call(tape, args={"id": 1}).response == "stub"
    assert call(tape, args={"id": 3}).how == "args_differ"


def test_a_stub_without_arguments_answers_any_call_with_its_fault():
    stubs = ({"error": "gone", "status": 0},)
    tape = make_tape(tools={"t": {"stubs": stubs}})

    play = call(tape, args={"any": "thing"})

    assert (play.how, play.kind, play.fault) == ("stub", "drop", True)


def test_a_stub_with_a_status_that_cannot_be_sent_is_an_error_that_names_it():
    with pytest.raises(FormatError, match=r"replay\.tools\.t\.stubs\[0\]\.status"):
        make_tape(tools={"t": {"stubs": ({"status": 101},)}})


NESTED = (
    {"tool": "research", "id": "c1", "response": "done"},
    {"tool": "t", "id": "c2", "parent": "c1", "args": {"q": 1}, "response": "inner"},
    {"tool": "t", "parent": "c2", "args": {"q": 2}, "response": "innermost"},
    {"tool": "t", "args": {"q": 3}, "response": "own"},
)


@pytest.mark.parametrize("match", ["auto", "exact", "sequence"])
def test_calls_inside_a_tool_that_the_tape_answered_are_not_expected(match):
    tape = make_tape(*NESTED, match=match)

    assert call(tape, "research").response == "done"
    assert call(tape, args={"q": 3}).response == "own"

    _, report = tape.finish()
    assert (report.unused, report.first_divergence) == ((), "")


def test_calls_inside_still_answer_whoever_makes_them_after_all_others():
    tape = make_tape(*NESTED)
    call(tape, "research")

    assert call(tape).response == "own"
    assert call(tape, args={"q": 1}).response == "inner"
    assert call(tape, args={"q": 2}).how == "exact"


def test_calls_inside_a_tool_that_nobody_asked_for_are_missed_with_it():
    tape = make_tape(*NESTED)
    call(tape, args={"q": 3})

    assert tape.finish()[1].unused == (0, 1, 2)
