"""The data model, one noun a file."""

from replays_app.models.access import Membership, Project
from replays_app.models.agent import Agent, AgentVersion, Deployment
from replays_app.models.contract import Contract, ContractRevision
from replays_app.models.incident import Activity, Incident
from replays_app.models.run import (
    AS_RECORDED,
    Attempt,
    AttemptPayload,
    Batch,
    Count,
    Judgement,
    Run,
)
from replays_app.models.session import ReplaySession, SessionRevision

__all__ = [
    "AS_RECORDED",
    "Activity",
    "Agent",
    "AgentVersion",
    "Attempt",
    "AttemptPayload",
    "Batch",
    "Contract",
    "ContractRevision",
    "Count",
    "Deployment",
    "Incident",
    "Judgement",
    "Membership",
    "Project",
    "ReplaySession",
    "Run",
    "SessionRevision",
]
