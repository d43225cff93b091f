"""Replays: what was asked for, what happened, and what it counts for."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from replays_app.models.access import Project
from replays_app.models.agent import AgentVersion
from replays_app.models.contract import ContractRevision
from replays_app.models.incident import Incident
from replays_app.models.session import SessionRevision

AS_RECORDED = "as recorded"


class Batch(models.Model):
    """Runs that were asked for together."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="batches")
    title = models.CharField(max_length=200)
    version = models.ForeignKey(
        AgentVersion, models.PROTECT, null=True, blank=True, related_name="batches"
    )
    via = models.CharField(max_length=20, default="page")  # page, api, webhook
    # What was asked for: {"all": true}, {"tags": […]} or {"incidents": [keys]}.
    selection = models.JSONField(default=dict)
    # What was asked for and has no run: [{"incident": key, "why": …, "guard": bool}].
    left_out = models.JSONField(default=list)
    # Incidents that were fixed when it was asked for, with a run or without (engine.gate.Gate).
    guards = models.PositiveIntegerField(default=0)
    strict = models.BooleanField(default=False)  # a suspect guard is not let pass
    attempts = models.PositiveIntegerField(default=1)  # of an incident that is no guard
    cancelled_at = models.DateTimeField(null=True, blank=True)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "batches"
        indexes = [models.Index(fields=["project", "-id"])]

    def __str__(self) -> str:
        return self.title


class Count(models.Model):
    """All judged attempts of one key, and the verdict over them (engine.verdict).

    Attempts get their number in the count when their run is claimed, and are scored in that order:
    number k counts only when 1..k-1 have ended. A verdict once reached is not taken back.
    """

    session_revision = models.ForeignKey(SessionRevision, models.CASCADE, related_name="counts")
    contract_revision = models.ForeignKey(ContractRevision, models.CASCADE, related_name="counts")
    scenario = models.CharField(max_length=100, default=AS_RECORDED)
    version = models.ForeignKey(AgentVersion, models.CASCADE, related_name="counts")
    rule = models.CharField(max_length=20, default="default")

    allotted = models.PositiveIntegerField(default=0)  # numbers handed out so far
    scored = models.PositiveIntegerField(default=0)  # numbers that the score has gone past
    judged = models.PositiveIntegerField(default=0)  # passed + failed, scored in order
    failures = models.PositiveIntegerField(default=0)
    unjudged = models.PositiveIntegerField(default=0)  # diverged, errored, not judged
    end = models.CharField(max_length=10, blank=True)  # engine.verdict.End: passing, failing, cap
    # Judged after the end: shown, and without effect on the verdict.
    later = models.PositiveIntegerField(default=0)
    later_failures = models.PositiveIntegerField(default=0)
    score = models.FloatField(default=0.0)  # natural log
    verdict = models.CharField(max_length=30, blank=True)
    decided_at = models.PositiveIntegerField(null=True, blank=True)  # `judged` at the end
    decided_number = models.PositiveIntegerField(null=True, blank=True)  # the attempt's, here
    # Reproduction: tries of a number of attempts that was fixed beforehand. `reproductions` holds
    # [failures of a target check, judged] of each, in order; the two after it are the best one's.
    tries = models.PositiveIntegerField(default=0)
    reproductions = models.JSONField(default=list, blank=True)
    reproduced_failures = models.PositiveIntegerField(default=0)
    reproduced_of = models.PositiveIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["session_revision", "contract_revision", "scenario", "version", "rule"],
                name="one_count_per_key",
            )
        ]

    def __str__(self) -> str:
        return f"{self.failures}/{self.judged} on {self.version}"


class Run(models.Model):
    """One request: session S, agent version V, contract revision C, scenario X, so many attempts.

    `token` and `lease_until` are the claim: every save of a worker is conditional on its token, so
    a worker that was thought dead changes nothing.
    """

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        FINISHED = "finished"
        CANCELLED = "cancelled"

    class Purpose(models.TextChoices):
        CHECK = "check"  # may stop as soon as the count's verdict is reached
        REPRODUCE = "reproduce"  # a number of attempts that is fixed beforehand
        GUARD = "guard"  # of a fixed incident: five, and more only when one fails (engine.gate)

    LETTERS = {"passed": "p", "failed": "f", "diverged": "d", "errored": "e", "not judged": "n"}

    project = models.ForeignKey(Project, models.CASCADE, related_name="runs")
    incident = models.ForeignKey(
        Incident, models.CASCADE, null=True, blank=True, related_name="runs"
    )
    session_revision = models.ForeignKey(SessionRevision, models.PROTECT, related_name="runs")
    version = models.ForeignKey(AgentVersion, models.PROTECT, related_name="runs")
    contract_revision = models.ForeignKey(ContractRevision, models.PROTECT, related_name="runs")
    scenario = models.CharField(max_length=100, default=AS_RECORDED)
    batch = models.ForeignKey(Batch, models.CASCADE, null=True, blank=True, related_name="runs")

    purpose = models.CharField(max_length=10, choices=Purpose.choices, default=Purpose.CHECK)
    planned = models.PositiveIntegerField()  # attempts
    rule = models.CharField(max_length=20, default="default")
    live_tools = models.BooleanField(default=False)  # without injection; feeds no count
    queue = models.CharField(max_length=20, default="interactive")
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    via = models.CharField(max_length=20, default="page")  # page, cli, api, webhook, schedule

    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    cancel_requested = models.BooleanField(default=False)
    token = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    claims = models.PositiveIntegerField(default=0)  # since an attempt was last saved
    count = models.ForeignKey(Count, models.PROTECT, null=True, blank=True, related_name="runs")
    # Attempt k of this run has number count_offset + k in the count.
    count_offset = models.PositiveIntegerField(null=True, blank=True)

    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    outcome = models.CharField(max_length=10, blank=True)  # engine.values.Outcome
    passed = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    diverged = models.PositiveIntegerField(default=0)
    errored = models.PositiveIntegerField(default=0)
    not_judged = models.PositiveIntegerField(default=0)
    headline = models.CharField(max_length=300, blank=True)
    problem = models.TextField(blank=True)  # why the whole run could not be done, and the remedy
    gate = models.CharField(max_length=20, blank=True)  # a guard's engine.gate.Word, at its end
    injection = models.CharField(max_length=20, blank=True)
    agent_config = models.JSONField(default=dict)  # what was run, without values of env or headers
    # Since when no attempt of it has its evidence; each payload says why.
    payloads_erased_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["incident", "-id"]),
            models.Index(fields=["project", "-id"]),
            models.Index(fields=["count", "id"]),
            models.Index(
                fields=["status", "queue", "id"],
                name="run_open",
                condition=Q(status__in=["queued", "running"]),
            ),
            models.Index(
                fields=["project", "status", "id"],
                name="run_open_in_project",
                condition=Q(status__in=["queued", "running"]),
            ),
            # Retention looks for the oldest that still have something to erase.
            models.Index(
                fields=["project", "finished_at"],
                name="run_with_payloads",
                condition=Q(payloads_erased_at=None),
            ),
        ]

    def __str__(self) -> str:
        return f"run {self.pk}"

    @property
    def ended(self) -> int:
        return self.passed + self.failed + self.diverged + self.errored + self.not_judged

    @property
    def is_open(self) -> bool:
        return self.status in {self.Status.QUEUED, self.Status.RUNNING}


class Attempt(models.Model):
    """One invocation of the agent, saved when it ended, once. Its payload lives apart."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()  # from 1 within the run
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(auto_now_add=True)
    real_ms = models.FloatField()
    virtual_ms = models.FloatField()
    injection = models.CharField(max_length=20)
    http_status = models.IntegerField(null=True, blank=True)
    failure_code = models.CharField(max_length=50, blank=True)
    calls = models.PositiveIntegerField(default=0)
    misses = models.PositiveIntegerField(default=0)
    args_differ = models.PositiveIntegerField(default=0)
    first_divergence = models.CharField(max_length=500, blank=True)
    version_seen = models.CharField(max_length=100, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "number"], name="one_attempt_per_number")
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.run}"


class AttemptPayload(models.Model):
    """The evidence itself (engine.values.Evidence as JSON); never loaded by a list.

    Erased, it is a tombstone: `evidence` is null, and sha256, who and why stay.
    """

    attempt = models.OneToOneField(
        Attempt, models.CASCADE, primary_key=True, related_name="payload"
    )
    evidence = models.JSONField(null=True)
    sha256 = models.CharField(max_length=64)
    erased_at = models.DateTimeField(null=True, blank=True)
    erased_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    erased_why = models.CharField(max_length=200, blank=True)

    def __str__(self) -> str:
        return f"payload of {self.attempt_id}"


class Judgement(models.Model):
    """A contract revision's word on an attempt. A new revision judges stored attempts anew."""

    attempt = models.ForeignKey(Attempt, models.CASCADE, related_name="judgements")
    contract_revision = models.ForeignKey(
        ContractRevision, models.PROTECT, related_name="judgements"
    )
    outcome = models.CharField(max_length=10)
    reason = models.TextField(blank=True)
    checks = models.JSONField()  # engine.values.CheckResult as JSON, in the contract's order
    failed_checks = models.JSONField(default=list)  # ids
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["attempt", "contract_revision"], name="one_judgement_per_revision"
            )
        ]

    def __str__(self) -> str:
        return f"{self.outcome} by {self.contract_revision}"


class Rejudgement(models.Model):
    """A run's attempts in a count of another contract revision than the run's own: what that
    revision says of them feeds the count, too, and they have numbers there of their own."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="rejudgements")
    count = models.ForeignKey(Count, models.CASCADE, related_name="rejudgements")
    # Attempt k of the run has number offset + k in the count.
    offset = models.PositiveIntegerField()
    # When everything that could be judged was, after the run's end; until then the numbers that
    # still lack a judgement hold up the scoring.
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "count"], name="one_rejudgement_per_count")
        ]
        indexes = [
            models.Index(fields=["count"], name="rejudgement_open", condition=Q(done_at=None))
        ]

    def __str__(self) -> str:
        return f"{self.run} in {self.count_id}"
