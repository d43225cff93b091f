"""The data model, one noun a file."""

from replays_app.models.access import (
    ApiToken,
    FailedAttempt,
    Invitation,
    Membership,
    Project,
    Secret,
)
from replays_app.models.agent import Agent, AgentVersion, ConnectionCheck, Deployment
from replays_app.models.ci import CiHook, Delivery
from replays_app.models.contract import Contract, ContractRevision
from replays_app.models.day import ReplayDay
from replays_app.models.imports import IdempotencyKey, Import, Source, Trace
from replays_app.models.incident import Activity, Incident
from replays_app.models.lookups import HasElement
from replays_app.models.run import (
    AS_RECORDED,
    Attempt,
    AttemptPayload,
    Batch,
    Count,
    Judgement,
    Rejudgement,
    Run,
)
from replays_app.models.session import ReplaySession, SessionRevision

__all__ = [
    "AS_RECORDED",
    "Activity",
    "Agent",
    "AgentVersion",
    "ApiToken",
    "Attempt",
    "AttemptPayload",
    "Batch",
    "CiHook",
    "ConnectionCheck",
    "Contract",
    "ContractRevision",
    "Count",
    "Delivery",
    "Deployment",
    "FailedAttempt",
    "HasElement",
    "IdempotencyKey",
    "Import",
    "Incident",
    "Invitation",
    "Judgement",
    "Membership",
    "Project",
    "Rejudgement",
    "ReplayDay",
    "ReplaySession",
    "Run",
    "Secret",
    "SessionRevision",
    "Source",
    "Trace",
]
