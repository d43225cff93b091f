"""What a Python agent is asked with; pure. How it is put to the function is decided where its
signature is known (bootstrap/calling.py)."""

from __future__ import annotations

import json

from replays_app.engine.agents.request import Filler, Turns, check_places, is_json_template
from replays_app.engine.formats.agent import AgentConfig
from replays_app.engine.formats.session import Session
from replays_app.engine.values import Json

Invocation = dict[str, Json]  # one of: template; input, prompt, earlier, messages, context


def build_invocation(agent: AgentConfig, session: Session) -> Invocation:
    """With a `request_template`, what it makes is the one argument. Raises `Unsendable`."""
    turns = Turns(session)
    template = agent.request_template
    if template is not None:
        check_places(agent, turns)
        fill = Filler(turns, structured=agent.parse_structured_input)
        if is_json_template(template):
            return {"template": json.loads(fill.json(template))}
        return {"template": fill.text(template)}
    return {
        "input": turns.input,
        "prompt": turns.prompt,
        "earlier": turns.earlier,
        "messages": turns.messages,
        "context": list(session.context),
    }
