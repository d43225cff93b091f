"""How often a secret may be tried: by name and by address, over all web processes.

Counted in the database, not in Redis (which may be emptied at any moment) nor in a process's
memory (there are several). A try is written down before the password is looked at: of a hundred
tries that come at once, no more than the limit are looked at.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.crypto import salted_hmac

from replays_app.models import FailedAttempt


@dataclass(frozen=True, slots=True)
class Rule:
    most: int  # failures
    within: timedelta


MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
BY_NAME = (Rule(5, MINUTE), Rule(20, HOUR))
# More, because a whole office can have one address.
BY_ADDRESS = (Rule(20, MINUTE), Rule(100, HOUR))
# Mails that a form which everybody can send makes us send.
MAIL_TO_ONE = (Rule(3, HOUR),)
MAIL_FROM_ADDRESS = (Rule(10, HOUR),)


@dataclass(frozen=True, slots=True)
class Gate:
    """What a failure counts against. A success empties a gate that `forgets`; that of an address
    does not, or else whoever has one account could try others without end."""

    kind: str
    value: str
    rules: tuple[Rule, ...]
    forgets: bool = False

    @property
    def key(self) -> str:
        text = f"{self.kind}:{self.value}"
        return salted_hmac("flakestorm limits", text, algorithm="sha256").hexdigest()


class TooMany(Exception):
    """Nothing was looked at, so the answer is the same for a right and a wrong password."""

    def __init__(self, wait: int) -> None:
        self.wait = wait  # seconds until the next try
        self.again = f"Try again in {_words(wait)}."
        super().__init__(f"Too many attempts that failed. {self.again}")


@dataclass(frozen=True, slots=True)
class Attempt:
    gates: tuple[Gate, ...]
    rows: tuple[FailedAttempt, ...]

    def succeeded(self) -> None:
        FailedAttempt.objects.filter(pk__in=[r.pk for r in self.rows]).delete()
        forget(*self.gates)


def login_gates(name: str, network: str) -> list[Gate]:
    """`network` empty: not known, so that it would be everybody's."""
    gates = [Gate("name", name, BY_NAME, forgets=True)]
    return gates + ([Gate("address", network, BY_ADDRESS)] if network else [])


def mail_gates(email: str, network: str) -> list[Gate]:
    gates = [Gate("mail to", email.casefold(), MAIL_TO_ONE)]
    return gates + ([Gate("mail from", network, MAIL_FROM_ADDRESS)] if network else [])


def begin(*gates: Gate) -> Attempt:
    """Notes a failure, which the caller takes back with `succeeded()`. Raises TooMany."""
    now = timezone.now()
    FailedAttempt.objects.filter(at__lte=now - HOUR).delete()
    rows = FailedAttempt.objects.bulk_create([FailedAttempt(key=g.key, at=now) for g in gates])
    wait = max(_wait(gate, now) for gate in gates)
    if wait > timedelta(0):
        # A refused try does not count: whoever waits as told gets in.
        FailedAttempt.objects.filter(pk__in=[r.pk for r in rows]).delete()
        raise TooMany(math.ceil(wait.total_seconds()))
    return Attempt(gates, tuple(rows))


def forget(*gates: Gate) -> None:
    """For who has shown in another way who they are."""
    keys = [g.key for g in gates if g.forgets]
    FailedAttempt.objects.filter(key__in=keys, at__gt=timezone.now() - HOUR).delete()


def _wait(gate: Gate, now: datetime) -> timedelta:
    """Until the oldest failure that is one too many has left its rule's time."""
    most = max(rule.most for rule in gate.rules)
    rows = FailedAttempt.objects.filter(key=gate.key).order_by("-at")
    times = list(rows.values_list("at", flat=True)[: most + 1])  # the first is this try's own
    waits = [times[r.most] + r.within - now for r in gate.rules if len(times) > r.most]
    return max(waits, default=timedelta(0))


def _words(seconds: int) -> str:
    if seconds < 90:
        return f"{seconds} second{'' if seconds == 1 else 's'}"
    return f"{math.ceil(seconds / 60)} minutes"
