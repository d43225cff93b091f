"""Whether a replay can be asked for at all: checked before anything is written, for one incident or
for a batch of them. All functions raise Refused with what is wrong and what would do."""

from __future__ import annotations

from typing import NoReturn

from replays_app.engine.agents.reach import refusal
from replays_app.engine.formats.agent import AgentConfig
from replays_app.engine.formats.errors import FormatError
from replays_app.engine.formats.llm import is_played_back
from replays_app.engine.gate import GATE_CAP
from replays_app.engine.verdict import PRESETS, REPRODUCTION_ATTEMPTS
from replays_app.models import AgentVersion, Incident, Run
from replays_app.services import agents, doorbell, results, versions
from replays_app.services.errors import Refused
from replays_app.services.sessions import erased_sentence, session_of

MOST_ATTEMPTS = 1000


def check_numbers(attempts: int, purpose: str, queue: str, rule: str) -> None:
    if not 1 <= attempts <= MOST_ATTEMPTS:
        refuse(f"attempts is {attempts}.", f"Ask for 1 to {MOST_ATTEMPTS}.", "attempts")
    for value, known, field in (
        (purpose, Run.Purpose.values, "purpose"),
        (queue, doorbell.REPLAYS, "queue"),
        (rule, tuple(PRESETS), "rule"),
    ):
        if value not in known:
            refuse(f"{field} is {value!r}.", f"One of: {', '.join(known)}.", field)
    if purpose == Run.Purpose.REPRODUCE and attempts != REPRODUCTION_ATTEMPTS:
        refuse(
            f"attempts is {attempts}.",
            f"A reproduction is {REPRODUCTION_ATTEMPTS} attempts, fixed beforehand.",
            "attempts",
        )
    if purpose == Run.Purpose.GUARD and attempts != GATE_CAP:
        refuse(f"attempts is {attempts}.", f"A guard has at most {GATE_CAP}.", "attempts")


def check_version(version: AgentVersion) -> None:
    if reason := versions.why_not_replayable(version):
        refuse(reason, "", "version")


def check_pair(incident: Incident, version: AgentVersion) -> None:
    """That the version is one of the incident's agent."""
    if version.agent.project_id != incident.project_id:
        refuse("This version belongs to another project.", "Choose one of this.", "version")
    if incident.agent_id and incident.agent_id != version.agent_id:
        refuse(
            f"{version} is a version of {version.agent}, the incident is of {incident.agent}.",
            "Choose a version of that agent.",
            "version",
        )


def config_here(version: AgentVersion) -> AgentConfig | None:
    """How to reach the version, as far as this process can read it. None: only the workers have
    the operator's file, or its secrets."""
    try:
        return agents.config_for(version)
    except agents.NotHere:
        return None
    except agents.Unusable as error:
        refuse(str(error), "", "version")


def draft(incident: Incident, version: AgentVersion, *, live_tools: bool = False) -> Run:
    """An unsaved run of the current recording under the contract's current revision."""
    contract = incident.contract
    if contract is None or contract.current is None:
        refuse("This incident has no contract.", "Choose one first.", "contract")
    if incident.session.current.body is None:
        refuse(
            erased_sentence(incident.session.current),
            "It cannot be replayed. What was found out stays.",
        )
    return Run(
        project=incident.project,
        incident=incident,
        session_revision=incident.session.current,
        contract_revision=contract.current,
        version=version,
        live_tools=live_tools,
    )


def check_injection(run: Run, config: AgentConfig | None) -> None:
    """Refuses what the worker would refuse. Without a `config` that is left to the worker."""
    if config is None:
        return
    try:
        session = session_of(run.session_revision)
    except FormatError as error:
        raise Refused.from_format(error) from error
    if reason := alike(config) or refusal(config, session, live_tools=run.live_tools):
        refuse(reason, "", "version")


def alike(config: AgentConfig) -> str:
    """Why attempts of this agent may feed no Count; empty: they may."""
    if not is_played_back(config.llm):
        return ""
    return (
        "agent.llm.answers is recorded: with the answers of its model given, an agent's attempts "
        "are alike, and one draw would decide a verdict; replay it so with flakestorm replay run, "
        "and with answers: live here"
    )


def check_reproduction(run: Run, incident: Incident) -> None:
    if run.live_tools:
        refuse(
            "A reproduction with live tools says nothing.", "Replay the recording.", "live_tools"
        )
    if not results.targets(run, incident):
        refuse(
            "Nothing says which failing check is the incident: its answer was not recorded, or the "
            "contract does not fail on it.",
            "Choose the target checks of the incident first.",
            "purpose",
        )


def refuse(message: str, remedy: str, field: str = "") -> NoReturn:
    raise Refused(message, remedy=remedy, field=field)
