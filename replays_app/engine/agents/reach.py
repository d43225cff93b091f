"""How an agent's tool calls are reached, and when they cannot be; pure.

An agent through which recorded responses cannot be injected is refused before anything is sent:
otherwise a replay would call real tools, and prove nothing.
"""

from __future__ import annotations

import sys
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

from replays_app.engine.formats.agent import AgentConfig
from replays_app.engine.formats.llm import LlmConfig
from replays_app.engine.formats.session import Session

Injection = Literal["proxy", "tool_url", "mcp", "llm", "hooks", "none", "live"]
DOORS: frozenset[Injection] = frozenset(
    {"proxy", "tool_url", "mcp", "llm", "hooks"}
)  # of the gateway

SHARED = 8  # attempts at once in one agent that tells them apart, likewise
PROCESSES = 8  # started agents at once, unless agent.concurrency says otherwise
REQUESTS = 50  # requests at once to a running agent without a gateway
TOOL_URL, MCP_URL, LLM_URL = "{tool_url}", "{mcp_url}", "{llm_url}"
LOCAL_TOKEN = "local"  # noqa: S105 - the tool URL's token where only this machine can ask
SHORTEST_TOKEN = 16  # characters, where other machines can ask
PAST_THE_PROXY = ("NO_PROXY", "no_proxy")


def injection_of(agent: AgentConfig, *, live_tools: bool) -> Injection:
    """The door that the configuration names, or else the one that it can only mean."""
    if live_tools:
        return "live"
    if is_python(agent):
        return "hooks"
    if agent.gateway in ("proxy", "tool_url", "mcp", "llm"):
        return agent.gateway
    if agent.gateway is not None or not (agent.start or _is_pointed(agent)):
        return "none"
    if any(tool.match_url for tool in agent.tools.values()):
        return "proxy"
    if _uses(agent, TOOL_URL):
        return "tool_url"
    if _uses(agent, MCP_URL):
        return "mcp"
    if agent.llm is not None or _uses(agent, LLM_URL):
        return "llm"
    return "tool_url" if _is_pointed(agent) else "proxy"


def is_python(agent: AgentConfig) -> bool:
    """Whether we run it in a process of its own, rather than ask it over HTTP."""
    return agent.type != "http"


def may_use_mcp(agent: AgentConfig, injection: Injection) -> bool:
    """Whether it is as good as certain that the agent comes to the MCP door."""
    return injection == "mcp" or (injection in DOORS and _uses(agent, MCP_URL))


def llm_of(agent: AgentConfig) -> LlmConfig | None:
    """The model's API behind the LLM door; None: this agent has no such door."""
    if agent.llm is not None:
        return agent.llm
    return LlmConfig() if agent.gateway == "llm" or _uses(agent, LLM_URL) else None


def run_in_agent(agent: AgentConfig, side_effects: bool | Literal["allow"]) -> frozenset[str]:
    """The tools with these `side_effects` whose code runs in the agent although its result is
    replaced: those that no other door answers."""
    injection = injection_of(agent, live_tools=False)
    if llm_of(agent) is None or injection not in ("llm", "proxy"):
        return frozenset()
    return frozenset(
        name
        for name, rule in agent.tools.items()
        if rule.side_effects == side_effects and not (rule.match_url and injection == "proxy")
    )


def refusal(agent: AgentConfig, session: Session, *, live_tools: bool) -> str:
    """Why this session cannot be put to this agent at all; empty: it can. Nothing is touched."""
    return _unsupported(agent, live_tools) or _no_way_in(agent, session, live_tools)


def unnamed(agent: AgentConfig, session: Session) -> str:
    """Why nothing of this session can be injected into a Python agent without a framework whose
    tools are recognised; empty: it can."""
    recorded = sorted({record.tool for record in session.tool_responses})
    rules = [agent.tools[name] for name in recorded if name in agent.tools]
    others = _uses(agent, TOOL_URL) or _uses(agent, MCP_URL) or llm_of(agent) is not None
    if not recorded or others or any(rule.function or rule.match_url for rule in rules):
        return ""
    return (
        f"recorded responses of {', '.join(recorded)} cannot be injected: the agent has no "
        "framework whose tools are recognised, and nothing says which functions or requests are "
        "its calls; "
        f"give agent.tools.{recorded[0]}.function (module:function), or match_url"
    )


def wants_port(agent: AgentConfig) -> bool:
    """Whether the agent is told its port, so that there can be several of it."""
    return "{port}" in agent.endpoint


def channel_token(agent: AgentConfig) -> str:
    """By which a standing gateway knows the agent's calls."""
    return agent.gateway_token or LOCAL_TOKEN


def _is_pointed(agent: AgentConfig) -> bool:
    """Whether it already runs, and somebody pointed it to a gateway."""
    return agent.gateway_listen is not None or agent.gateway_url is not None


def is_shared(agent: AgentConfig, injection: Injection) -> bool:
    """Whether one agent takes several attempts at a time, and tells the gateway which is which."""
    return agent.run_header is not None and injection in DOORS and not is_python(agent)


def members_at_most(agent: AgentConfig, *, injection: Injection, wanted: int) -> int:
    """How many attempts can run at once."""
    if is_python(agent):
        most = agent.concurrency or PROCESSES
    elif is_shared(agent, injection):
        most = agent.concurrency or SHARED
    elif agent.start:
        most = agent.concurrency or PROCESSES if wants_port(agent) else 1
    elif injection in DOORS:
        most = 1  # one fixed listener, and nothing tells two attempts' calls apart
    else:
        most = agent.concurrency or REQUESTS
    return max(1, min(most, wanted))


def listen_address(agent: AgentConfig) -> tuple[str, int]:
    """Host and port of `gateway_listen`; a free port of the loopback interface without it."""
    if agent.gateway_listen is None:
        return "127.0.0.1", 0
    host, _, port = agent.gateway_listen.rpartition(":")
    return host.strip("[]"), int(port)


def fixed_token(agent: AgentConfig) -> str | None:
    """The token in the tool URL of a running agent, which must know it beforehand.

    Where only this machine can ask it is `local`, unless the agent has another. None: not fixed.
    """
    if agent.gateway_listen is None:
        return None
    if agent.gateway_token is None and _is_loopback(listen_address(agent)[0]):
        return LOCAL_TOKEN
    return agent.gateway_token


def _unsupported(agent: AgentConfig, live_tools: bool) -> str:
    if is_python(agent):
        return _unfit_python(agent)
    if agent.gateway == "hooks":
        return (
            "agent.gateway hooks is for a Python agent that runs in a process of ours; write type: "
            "python (or langchain), or another gateway"
        )
    if not agent.endpoint:
        return "agent.endpoint is missing; write the URL that takes the agent's requests"
    if not _is_http(agent.endpoint):
        return f"agent.endpoint {agent.endpoint} is no http or https address"
    if agent.gateway_url and (agent.gateway == "llm" or agent.llm is not None):
        return (
            "a standing gateway (agent.gateway_url) has no LLM door; give agent.gateway_listen "
            "(host:port) instead, or reach its tools by proxy, tool_url or mcp and take agent.llm "
            "out"
        )
    return ""


def _unfit_python(agent: AgentConfig) -> str:
    if agent.gateway not in (None, "hooks"):
        return (
            f"agent.gateway is {agent.gateway}, and an agent of type {agent.type} has hooks (and "
            "the proxy beside them); take gateway out"
        )
    module, _, name = agent.endpoint.partition(":")
    if not module or not name or "/" in agent.endpoint:
        return f"agent.endpoint {agent.endpoint} is no module:function, as type {agent.type} needs"
    if sys.platform == "win32":
        return (
            f"an agent of type {agent.type} needs Linux or macOS; serve it over HTTP (type: http)"
        )
    return ""


def _is_http(endpoint: str) -> bool:
    try:
        url = urlsplit(endpoint.replace("{port}", "1"))
        return url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        return False


def _no_way_in(agent: AgentConfig, session: Session, live_tools: bool) -> str:
    if live_tools:
        return _not_live(agent)
    door = injection_of(agent, live_tools=False)
    if door == "none":
        return _no_door(agent, session)
    if reason := _really_runs(agent, session) or _no_answers(agent, session):
        return reason
    if door == "hooks":
        return _past_the_proxy(agent)
    if not (agent.start or _is_pointed(agent)):
        return (
            f"the agent at {agent.endpoint} is already running, and nothing says where it finds "
            f"the gateway ({door}); give agent.start, so that it is started for the replay, "
            "agent.gateway_listen (host:port) or agent.gateway_url, and point the agent there"
        )
    if door == "proxy" and (reason := _not_recognised(agent, session)):
        return reason
    return _guessable(agent, door)


def _no_answers(agent: AgentConfig, session: Session) -> str:
    llm = llm_of(agent)
    if llm is None or llm.answers != "recorded" or session.model_responses:
        return ""
    return (
        "agent.llm.answers is recorded, and the session has no answers of the model; add "
        "model_responses to it, or take that out and ask the model itself"
    )


def _really_runs(agent: AgentConfig, session: Session) -> str:
    recorded = {record.tool for record in session.tool_responses}
    for tool in sorted(recorded & run_in_agent(agent, True)):
        return (
            f"{tool} has side effects (agent.tools.{tool}.side_effects) and would really run: the "
            "LLM door replaces what the model is told of it, not the function in the agent; lead "
            "it through another door (match_url and gateway proxy, tool_url, mcp, a Python agent's "
            "hooks), or write side_effects: allow, if it may run"
        )
    return ""


def _guessable(agent: AgentConfig, door: Injection) -> str:
    """Where other machines can ask, the tool URL's token must not be one that they can guess."""
    if agent.gateway_url is not None:
        return _guessable_url(agent, agent.gateway_url)
    if agent.gateway_listen is None or _is_loopback(listen_address(agent)[0]):
        return ""
    if door == "proxy" and agent.gateway_token is None:
        return ""
    given = len(agent.gateway_token or "")
    if given >= SHORTEST_TOKEN:
        return ""
    return (
        f"agent.gateway_listen {agent.gateway_listen} can be reached from other machines, and "
        f"agent.gateway_token has {given} characters; give one of {SHORTEST_TOKEN} or more, and "
        "let the agent call http://<host>:<port>/t/<token>/<tool>, or /mcp/<token> (MCP) or "
        "/llm/<token> (its model) there"
    )


def _guessable_url(agent: AgentConfig, url: str) -> str:
    given = len(agent.gateway_token or "")
    if _is_loopback(urlsplit(url).hostname or "") and agent.gateway_token is None:
        return ""
    if given >= SHORTEST_TOKEN:
        return ""
    return (
        f"agent.gateway_url {url} can be reached by others, and agent.gateway_token has {given} "
        f"characters; give one of {SHORTEST_TOKEN} or more, and point the agent to "
        "http://agent:<token>@<host>:<port> as its proxy, or to /t/<token>/<tool> or /mcp/<token> "
        "there"
    )


def _not_live(agent: AgentConfig) -> str:
    for place in (TOOL_URL, MCP_URL, LLM_URL):
        if _uses(agent, place):
            return (
                f"agent.start or agent.env names {place}, which a replay with live tools does not "
                "have; give the agent its tools' real address there"
            )
    if agent.gateway_url is not None:
        return (
            f"the agent is pointed at the gateway ({agent.gateway_url}), which answers for no "
            "replay with live tools; take agent.gateway_url out, and give the agent its tools' "
            "real addresses"
        )
    if agent.gateway_listen is not None:
        return (
            f"the agent is pointed at the gateway ({agent.gateway_listen}), which a replay with "
            "live tools does not open; take agent.gateway_listen out, and give the agent its "
            "tools' real addresses"
        )
    return ""


def _no_door(agent: AgentConfig, session: Session) -> str:
    count = len(session.tool_responses)
    if not count:
        return ""
    what = f"{count} recorded tool {'response' if count == 1 else 'responses'} cannot be injected"
    live = "or replay with live tools (--live-tools), which calls the real ones"
    if agent.gateway == "none":
        return f"{what}: agent.gateway is none; use proxy, tool_url, mcp or llm, {live}"
    return (
        f"{what}: the agent at {agent.endpoint} is already running, outside the gateway; give "
        "agent.start, so that it is started for the replay, agent.gateway_listen (host:port) or "
        f"agent.gateway_url, and point the agent there; {live}"
    )


def _past_the_proxy(agent: AgentConfig) -> str:
    for name in PAST_THE_PROXY:
        if name in agent.env:
            return (
                f"agent.env sets {name}, which leads the agent's calls past the gateway; take it "
                "out, and name what may stay live in agent.passthrough"
            )
    return ""


def _not_recognised(agent: AgentConfig, session: Session) -> str:
    if reason := _past_the_proxy(agent):
        return reason
    if _uses(agent, TOOL_URL) or _uses(agent, MCP_URL) or llm_of(agent) is not None:
        return ""
    known = {name for name, tool in agent.tools.items() if tool.match_url}
    unknown = sorted({record.tool for record in session.tool_responses} - known)
    if not unknown:
        return ""
    return (
        f"recorded responses of {', '.join(unknown)} cannot be injected: nothing says which "
        f"requests are its calls; give agent.tools.{unknown[0]}.match_url, such as "
        '"GET https://api.example.com/search*"'
    )


def _uses(agent: AgentConfig, place: str) -> bool:
    start = (agent.start,) if isinstance(agent.start, str) else agent.start or ()
    return any(place in text for text in (*start, *agent.env.values()))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
