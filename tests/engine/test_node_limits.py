"""Time limits of Node's own clients, against recorded latencies that are not waited for. Those of
axios, got and undici are in tests/agents."""

import json
import subprocess

import pytest

from tests.absent import needs_node
from tests.fakes.gateways import make_session
from tests.fakes.led import (
    NAMED,
    NODE,
    PLAIN,
    SLOW,
    agent_for,
    asked,
    assert_it_is_late,
    environment,
    own_environment,
    run,
)
from tests.fakes.tool_server import ToolServer

pytestmark = needs_node
LIMITED = [
    *("modules", "modules by setTimeout"),
    *("fetch", "fetch with any signal", "fetch with a controller"),
]


@pytest.fixture
def listener(listener):
    listener.leads = True
    return listener


@pytest.mark.parametrize("at", NAMED)
@pytest.mark.parametrize("client", LIMITED)
def test_a_recorded_latency_gives_a_client_its_own_timeout_at_once(beside, listener, client, at):
    assert_it_is_late(beside, listener, [*NODE, client], f"{at}/quote/ACME")


def test_what_hears_of_its_timeout_and_waits_gets_the_answer(beside, listener):
    agent = agent_for(*NAMED)
    words, url = [*NODE, "modules with patience"], f"{PLAIN}/quote/ACME"
    with beside.attempt(listener, make_session(SLOW, SLOW), agent):
        said = asked(words, url, environment(listener, agent), 10, 60)
    assert [answer for answer, _ in said] == ["found, told 1 times", "found, told 0 times"]


NODE_AT_ONCE = """
const http = require('http');
const [plain] = process.argv.slice(1);
const asks = {
  fetch: async (url) => (await fetch(url, { signal: AbortSignal.timeout(10000) })).text(),
  modules: (url) => new Promise((resolve, reject) => {
    const request = http.get(url, { timeout: 10000 }, (answer) => {
      answer.setEncoding('utf8').on('data', resolve);
    });
    request.on('timeout', () => request.destroy()).on('error', reject);
  }),
};
// One signal for all of them, made when the first one begins: real time counts too.
let signal;
asks.shared = async (url) => {
  signal ??= AbortSignal.timeout(10000);
  return (await fetch(url, { signal })).text();
};
async function main() {
  for (const ask of Object.values(asks)) {
    const calls = ['quick', 'slow', 'quick', 'slow'].map((name) => ask(`${plain}/quote/${name}`));
    const said = await Promise.allSettled(calls);
    console.log(said.map((one) => one.value || one.reason.code).join());
  }
}
main();
"""


def test_of_calls_at_once_only_the_late_ones_end(beside, listener):
    agent = agent_for(*NAMED)
    records = [
        {"tool": "quote", "args": {"symbol": name}, "response": name, "latency_ms": ms}
        for name, ms in [("quick", 9_000), ("slow", 11_000)] * 6
    ]
    with beside.attempt(listener, make_session(*records), agent) as attempt:
        said = run(["node", "-e", NODE_AT_ONCE, PLAIN], environment(listener, agent))
    first, second, shared = said.split()
    assert first == shared == "quick,23,quick,23"
    assert second == "quick,ECONNRESET,quick,ECONNRESET"
    details = [call.detail for call in attempt.calls if call.args == {"symbol": "slow"}]
    assert all("time limit of" in detail for detail in details)


NODE_SIGNAL = """
async function main(url) {
  const signal = AbortSignal.timeout(50000);
  for (let call = 0; call < 2; call += 1) {
    try {
      console.log(await (await fetch(url, { signal })).text());
    } catch (error) {
      console.log(error.name, error === signal.reason, signal.aborted);
    }
  }
}
main(process.argv[1]);
"""


def test_a_signal_that_is_for_several_calls_is_used_up_by_them(beside, listener):
    agent = agent_for(*NAMED)
    with beside.attempt(listener, make_session(SLOW, SLOW), agent) as attempt:
        words = ["node", "-e", NODE_SIGNAL, f"{PLAIN}/quote/ACME"]
        said = run(words, environment(listener, agent))
    assert said.splitlines() == ["found", "TimeoutError true true"]
    first, second = (call.latency_ms for call in attempt.calls)
    assert first == 30_000
    assert 10_000 < second <= 20_000  # what a busy machine takes counts too


@pytest.mark.parametrize("client", ["modules", "fetch"])
def test_an_answer_that_the_gateway_does_not_know_is_given_to_its_client(beside, listener, client):
    """A real server that was seen by another replay, as it may be under `passthrough`."""
    agent = agent_for(*NAMED)
    with ToolServer() as server:
        env = environment(listener, agent)
        ((said, _),) = asked([*NODE, client], f"{server.url}/seen", env, 10)
    assert json.loads(said) == {"real": True}


# Timers that abort something: this call's controller, or not.
NODE_TIMERS = """
const mine = () => new AbortController();
const held = { own: { controller: mine() } };
const job = { aborted: 0, get signal() { job.aborted += 1; }, abort() { job.aborted += 1; } };
const other = mine();
const bound = mine();
async function ask(signal) {
  try {
    return await (await fetch(process.argv[1], { signal })).text();
  } catch (error) {
    return error.message;
  }
}
async function main() {
  const timers = [
    setTimeout(() => job.abort(), 9000),
    setTimeout(job.abort.bind(job), 9000),
    setTimeout(() => other.abort(), 9000),
  ];
  console.log(await ask(mine().signal));
  timers.push(setTimeout(() => { held.own.controller.abort(new Error('by path')); }, 9000));
  console.log(await ask(held.own.controller.signal));
  timers.push(setTimeout(bound.abort.bind(bound, new Error('bound')), 9000));
  console.log(await ask(AbortSignal.any([mine().signal, bound.signal])));
  const cleared = mine();
  clearTimeout(setTimeout(() => cleared.abort(), 9000));
  console.log(await ask(cleared.signal));
  const left = globalThis[Symbol.for('flakestorm.closures')];
  console.log(job.aborted, other.signal.aborted, left);
  timers.forEach(clearTimeout);
}
main();
"""


def test_of_the_agents_timers_only_the_one_that_aborts_this_call_fires(beside, listener):
    agent = agent_for(*NAMED)
    with beside.attempt(listener, make_session(*[SLOW] * 4), agent) as attempt:
        words = ["node", "-e", NODE_TIMERS, f"{PLAIN}/quote/ACME"]
        said = run(words, environment(listener, agent))
    assert said.splitlines() == ["found", "by path", "bound", "found", "0 false undefined"]
    assert [bool(call.detail) for call in attempt.calls] == [False, True, True, False]


NODE_SAME = """
const { promisify } = require('util');
const watched = [setTimeout, fetch, AbortSignal.timeout, AbortSignal.any];
const said = watched.map((it) => [it.name, it.length]);
said.push(AbortSignal.timeout(5) instanceof AbortSignal);
for (const bad of ['x', -1, 1.5]) {
  try {
    AbortSignal.timeout(bad);
  } catch (error) {
    said.push(error.code);
  }
}
promisify(setTimeout)(1, 'later').then(async (value) => {
  said.push(value, await fetch('http://127.0.0.1:1/').catch((error) => error.message));
  said.push(await fetch('no url', { signal: 5 }).catch((error) => error.name));
  console.log(JSON.stringify(said));
});
"""


def test_what_is_watched_reads_and_fails_as_ever(listener):
    words = ["node", "-e", NODE_SAME]
    env = environment(listener, agent_for(*NAMED))
    assert run(words, env) == run(words, own_environment())


@pytest.mark.parametrize("client", ["fetch with a controller", "modules"])
def test_what_cannot_be_looked_at_is_said_and_the_answer_given(beside, listener, client, tmp_path):
    """A Node that was built without its inspector; sockets that are of another kind."""
    strange = tmp_path / "strange.cjs"
    strange.write_text(
        "require('inspector').Session = undefined;"
        "require('net').Socket.prototype.listeners = () => { throw new Error('of another kind'); };"
    )
    agent = agent_for(*NAMED)
    env = environment(listener, agent, NODE_OPTIONS=f'--require "{strange}"')
    with beside.attempt(listener, make_session(SLOW), agent) as attempt:
        words = [*NODE, client, "late", f"{PLAIN}/quote/ACME", "10"]
        ran = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout)[0][0] == "found"
    assert "a time limit sees no recorded latency" in ran.stderr
    assert [call.latency_ms for call in attempt.calls] == [30_000]
