"""Lines for flakestorm.yaml that would do, as a check proposes them; pure. None holds a secret."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from replays_app.engine.agents.reach import LOCAL_TOKEN, injection_of, is_python
from replays_app.engine.formats.agent import AgentConfig

START = """\
agent:
  start: "python agent.py --port {port}"
  endpoint: "http://127.0.0.1:{port}/invoke"
  gateway: proxy
# or, for one that already runs:
#  gateway_listen: 127.0.0.1:8899"""

# What a host most likely is, by the end of its name: the block that it belongs to, and why.
_MODELS = (
    *("api.openai.com", "openai.azure.com", "api.anthropic.com", "api.mistral.ai", "api.x.ai"),
    *("generativelanguage.googleapis.com", "api.groq.com", "api.cohere.com", "openrouter.ai"),
    *("api.deepseek.com", "api.together.xyz", "api.fireworks.ai"),
)
_TELEMETRY = (
    *("smith.langchain.com", "telemetry.crewai.com", "cloud.langfuse.com", "posthog.com"),
    *("sentry.io", "datadoghq.com", "honeycomb.io", "segment.io", "amplitude.com", "mixpanel.com"),
)
_KNOWN_HOSTS = (
    ("passthrough", "this is the API of a model", _MODELS),
    ("expect_blocked", "this is telemetry", _TELEMETRY),
)


def of_tool(agent: AgentConfig, tool: str) -> str:
    """The lines that lead a tool through a door that needs no proxy."""
    name, variable = _key(tool), f"{_word(tool).upper()}_URL"
    token = "<gateway_token>" if agent.gateway_token else LOCAL_TOKEN
    if is_python(agent):
        rule = agent.tools.get(tool)
        if rule is not None and (rule.function or rule.match_url):
            return ""
        return f'agent:\n  tools:\n    {name}: {{ function: "your_module:{_word(tool)}" }}'
    if agent.start is None:
        listen = agent.gateway_listen or "127.0.0.1:8899"
        line = f"gateway_listen: {listen}"
        url = f"http://{listen}"
        if agent.gateway_url is not None:
            url = agent.gateway_url.rstrip("/")
            line = f"gateway_url: {url}"
        return (
            f"agent:\n  gateway: tool_url\n  {line}\n"
            "# and in the agent's own environment, wherever it takes this tool's address from:\n"
            f"#  {variable}={url}/t/{token}/{tool}"
        )
    if injection_of(agent, live_tools=False) == "llm":
        return (
            'agent:\n  env:\n    OPENAI_BASE_URL: "{llm_url}/v1"'
            "  # or whatever variable the model's client reads"
        )
    return (
        "agent:\n  gateway: tool_url\n  env:\n"
        f'    {variable}: "{{tool_url}}/{tool}"  # wherever the agent takes its address from'
    )


def of_host(request: str, *, past: bool) -> tuple[str, str]:
    """What would do about a blocked request ("GET https://host/path"), in words and as lines. What
    went `past` the proxy is known by its host only."""
    method, _, url = request.partition(" ")
    pattern = json.dumps(_pattern(url))
    block, why = _likely(host_of(request))
    if block:
        return f"By its name {why}: list it under {block}.", f"agent:\n  {block}: [ {pattern} ]"
    whole = pattern if past or method == "CONNECT" else json.dumps(f"{method} {_page(url)}")
    return (
        "If it is a tool, say which; if it may stay live, list it under passthrough; if it does "
        "not matter, under expect_blocked.",
        f"agent:\n  tools:\n    name_of_the_tool: {{ match_url: {whole} }}\n"
        f"# or:\n#  passthrough: [ {pattern} ]\n# or:\n#  expect_blocked: [ {pattern} ]",
    )


def host_of(request: str) -> str:
    """With its port."""
    return urlsplit(_absolute(request.partition(" ")[2])).netloc.rpartition("@")[2]


def _pattern(url: str) -> str:
    parts = urlsplit(_absolute(url))
    return f"{parts.scheme or 'https'}://{parts.netloc.rpartition('@')[2]}/*"


def _page(url: str) -> str:
    """Without credentials, query and fragment."""
    parts = urlsplit(_absolute(url))
    return f"{parts.scheme or 'https'}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _absolute(url: str) -> str:
    return url if "://" in url else f"//{url}"


def _likely(host: str) -> tuple[str, str]:
    name = host.partition(":")[0]
    for block, why, ends in _KNOWN_HOSTS:
        if any(name == end or name.endswith(f".{end}") for end in ends):
            return block, why
    return "", ""


def _word(tool: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in tool)


def _key(tool: str) -> str:
    return tool if tool.isascii() and tool.replace("_", "a").isalnum() else json.dumps(tool)
