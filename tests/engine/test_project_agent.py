"""An agent that a team describes as text: what is taken, and what is refused with the line."""

from __future__ import annotations

import pytest

from replays_app.engine.formats.errors import FormatError
from replays_app.engine.formats.project_agent import has_credential, read_project_agent, references
from replays_app.engine.hosts import AllowedHosts

HOSTS = AllowedHosts.parse(["agents.example.com", "127.0.0.1", "api.openai.com"])
GOOD = """\
endpoint: https://agents.example.com/${PATH_TOKEN}/invoke
method: POST
request_template: '{"q": "{prompt}"}'
response_path: $.answer
timeout: 20000
headers:
  Authorization: Bearer ${AGENT_TOKEN}
  X-Team: support
query_params: { lang: en, api_key: "${AGENT_TOKEN}" }
reset_endpoint: https://agents.example.com/reset
gateway: proxy
gateway_listen: 127.0.0.1:8899
tools:
  orders: { match_url: "GET http://orders.example/*" }
passthrough: [ "https://api.openai.com/*", "https://*.anything.example/*" ]
version_from: { header: X-Version }
"""


def read(text):
    return read_project_agent(text, secrets={"AGENT_TOKEN", "PATH_TOKEN"}, hosts=HOSTS)


def problems(text):
    with pytest.raises(FormatError) as error:
        read(text)
    return error.value.problems


@pytest.mark.parametrize("indent", [False, True])
def test_a_block_is_read_alone_or_under_agent_and_kept_as_written(indent):
    text = "agent:\n" + "".join(f"  {line}\n" for line in GOOD.splitlines()) if indent else GOOD
    found = read(text)
    assert found.block["headers"]["Authorization"] == "Bearer ${AGENT_TOKEN}"
    assert references(found.block) == {"AGENT_TOKEN", "PATH_TOKEN"}
    assert found.config.timeout == 20_000
    assert found.notes == ()


E = "endpoint: https://agents.example.com/\n"
L = "gateway: llm\ngateway_listen: 127.0.0.1:8899\n"
M = "llm:\n  upstream: https://api.openai.com\n"


@pytest.mark.parametrize(
    ("text", "line", "field", "words"),
    [
        ("", 1, "", "is empty"),
        ("a: 1\n---\nb: 2", 1, "", "holds 2 documents"),
        ("- 1", 1, "", "is a list"),
        (E + "endpont: x", 2, "endpont", "did you mean endpoint"),
        (E + "start: python agent.py", 2, "start", "have the operator add this agent there"),
        (E + "env: { A: b }", 2, "env", "only the operator's agents file"),
        (E + "cwd: /", 2, "cwd", "only the operator's agents file"),
        (E + "python: /bin/python", 2, "python", "only the operator's agents file"),
        (E + "ready: http://127.0.0.1/", 2, "ready", "take it out"),
        (E + "version: v1", 2, "version", "take it out"),
        (E + "type: python", 2, "type", "must be http"),
        (E + "gateway: mcp", 1, "", "where it finds the gateway"),
        (E + "gateway: proxy", 1, "", "where it finds the gateway"),
        (E + "gateway_listen: 127.0.0.1:80", 2, "gateway_listen", "take one from 1024 on"),
        (E + "gateway_url: http://h:8899", 2, "gateway_url", "needs a gateway_token"),
        (E + "gateway_listen: 0.0.0.0:8899", 1, "", "agent.gateway_token has 0 characters"),
        (E + "gateway_token: abcdefghijklmnopqrst", 2, "gateway_token", "write ${NAME}"),
        ("endpoint: http://elsewhere.example/", 1, "endpoint", "FLAKESTORM_AGENT_HOSTS"),
        ("endpoint: http://169.254.169.254/", 1, "endpoint", "never connected to"),
        ("endpoint: http://${PATH_TOKEN}/", 1, "endpoint", "where its host stands"),
        ("endpoint: http://127.0.0.1/${NOPE}", 1, "endpoint", "no secret of that name"),
        ("endpoint: http://127.0.0.1/?token=abc", 1, "endpoint", "credential in the clear"),
        (E + "reset_endpoint: http://10.0.0.1/", 2, "reset_endpoint", "not one of the hosts"),
        (
            E + "passthrough: ['https://evil.example/*']",
            2,
            "passthrough[0]",
            "not one of the hosts",
        ),
        (E + "passthrough: ['GET 169.254.169.254/x']", 2, "passthrough[0]", "never connected to"),
        (E + "headers:\n  Authorization: Bearer abcdefgh", 3, "headers.Authorization", "${NAME}"),
        (E + "headers:\n  x-api-key: abc", 3, "headers.x-api-key", "save it as a secret"),
        (E + "headers:\n  X-Thing: sk-abcdefghijklmnopqrst", 3, "headers.X-Thing", "in the clear"),
        (E + "headers:\n  Cookie: session=1", 3, "headers.Cookie", "in the clear"),
        (E + "headers:\n  X-A: ${NOPE}", 3, "headers.X-A", "no secret of that name"),
        (E + "headers:\n  X-A: ${no pe}", 3, "headers.X-A", "is not understood"),
        (E + "query_params: { key: abc }", 2, "query_params.key", "in the clear"),
        (
            E + 'request_template: \'{"q": "{prompt}", "k": "ghp_abcdefghijklmnopqrstuv"}\'',
            2,
            "request_template",
            "secrets are not put in here",
        ),
        (E + L + "llm: {}", 4, "llm.upstream", "is missing"),
        (E + L, 1, "llm.upstream", "is missing"),
        (E + L + "llm: { upstream: 'https://x.example' }", 4, "llm.upstream", "not one of"),
        (E + L + "llm: { upstream: 'http://169.254.169.254' }", 4, "llm.upstream", "never conn"),
        (E + L + "llm: { upstream: 'https://${AGENT_TOKEN}' }", 4, "llm.upstream", "write it out"),
        (E + L + "llm: { upstream: api.openai.com }", 4, "llm.upstream", "must be the base URL"),
        (E + L + M + "  answers: recorded", 6, "llm.answers", "flakestorm replay run"),
        (E + L + M + "  key: sk-abcdefgh", 6, "llm.key", "save it as a secret"),
        (E + L + M + "  key: 'Bearer ${AGENT_TOKEN}'", 6, "llm.key", "save it as a secret"),
        (E + L + M + "  key: ${NOPE}", 6, "llm.key", "no secret of that name"),
        (E + "timeout: soon", 2, "timeout", "a whole number"),
        (E + "response_path: '$['", 2, "response_path", "no JSONPath"),
        (E + "headers: [1", 3, "", ""),
    ],
)
def test_what_cannot_be_is_refused_with_line_and_remedy(text, line, field, words):
    found = problems(text)
    assert len(found) == 1
    assert (found[0].line, found[0].field) == (line, field)
    assert words in found[0].message


def test_an_agents_model_is_reached_with_a_secret_of_the_project():
    found = read(E + L + M + "  key: ${AGENT_TOKEN}\n")
    assert references(found.block) == {"AGENT_TOKEN"}
    assert found.block["llm"]["key"] == "${AGENT_TOKEN}"


def test_every_problem_is_told_at_once():
    text = (
        "start: x\nendpoint: http://elsewhere.example/\ntimeout: 1\nheaders: { Authorization: x }"
    )
    assert [p.field for p in problems(text)] == [
        *("start", "headers.Authorization", "endpoint"),
        "timeout",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (E, "Nothing leads this agent's tool calls through the gateway"),
        (E + "gateway: proxy\ngateway_listen: 127.0.0.1:8899", "No tool has a match_url"),
        (E, "does not confirm its version"),
    ],
)
def test_what_is_no_mistake_and_worth_knowing_is_noted(text, words):
    assert any(words in note for note in read(text).notes)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://agents.example.com/?key=abc", True),
        ("https://agents.example.com/?X-Amz-Signature=abc", True),
        ("https://agents.example.com/sk-abcdefghijklmnopqrst", True),
        ("https://agents.example.com/?key=${TOKEN}", False),
        ("https://agents.example.com/?lang=en&page=key", False),
        ("https://[", False),
    ],
)
def test_a_credential_in_a_url_is_seen(url, found):
    assert has_credential(url) is found


@pytest.mark.parametrize("piece", ["eyJ", "eyJ-", "Bearer-", "sk_live_-", "${", "a=${"])
def test_a_text_that_is_made_to_be_slow_is_read_in_linear_time(piece):
    assert not has_credential("https://agents.example.com/" + piece * 30_000)
