"""What replays came to, a row per project and day: the score's trend and the totals of metrics."""

from __future__ import annotations

from django.db import models

from replays_app.models.access import Project


class ReplayDay(models.Model):
    """Counted up as attempts and runs end, so that a trend over months reads a row per day.

    The score of a day is `held / weighed`: the weights of the checks that held against those of all
    that were checked (engine.contracts.scoring). Replays with live tools are in `live` alone.
    """

    project = models.ForeignKey(Project, models.CASCADE, related_name="days")
    day = models.DateField()  # UTC, by when an attempt ended
    passed = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    diverged = models.PositiveIntegerField(default=0)
    errored = models.PositiveIntegerField(default=0)
    not_judged = models.PositiveIntegerField(default=0)
    live = models.PositiveIntegerField(default=0)
    held = models.PositiveBigIntegerField(default=0)
    weighed = models.PositiveBigIntegerField(default=0)
    runs_finished = models.PositiveIntegerField(default=0)
    runs_cancelled = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "day"], name="one_row_per_project_and_day")
        ]

    def __str__(self) -> str:
        return f"{self.project} on {self.day}"
