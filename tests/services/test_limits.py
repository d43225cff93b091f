"""How often a secret may be tried, and when again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from replays_app.models import FailedAttempt
from replays_app.services import limits
from replays_app.services.limits import Gate, Rule, TooMany

SHORT = Rule(2, timedelta(minutes=1))
LONG = Rule(4, timedelta(hours=1))

pytestmark = [pytest.mark.database, pytest.mark.django_db]


def gate(value: str = "ada", **more) -> Gate:
    return Gate("name", value, (SHORT, LONG), **more)


def fail(times: int, *, ago: float = 0.0, which: Gate | None = None) -> None:
    """Failures `ago` seconds ago."""
    at = timezone.now() - timedelta(seconds=ago)
    key = (which or gate()).key
    FailedAttempt.objects.bulk_create([FailedAttempt(key=key, at=at) for _ in range(times)])


@pytest.mark.parametrize(
    ("failures", "wait"),
    [
        ([], 0),
        ([(1, 5)], 0),
        ([(2, 5)], 55),
        ([(1, 50), (1, 5)], 10),
        ([(2, 61)], 0),
        ([(4, 120)], 3480),
        ([(3, 120), (1, 5)], 3480),
        ([(4, 3601)], 0),
        ([(9, 20)], 3580),
    ],
)
def test_the_next_try_is_when_the_oldest_one_too_many_is_over(failures, wait):
    for times, ago in failures:
        fail(times, ago=ago)
    if not wait:
        limits.begin(gate())
        return
    with pytest.raises(TooMany) as refused:
        limits.begin(gate())
    assert refused.value.wait == pytest.approx(wait, abs=2)


def test_a_refused_try_does_not_make_the_wait_longer():
    fail(2, ago=5)
    for _ in range(3):
        with pytest.raises(TooMany):
            limits.begin(gate())
    assert FailedAttempt.objects.count() == 2


def test_a_try_is_written_down_before_its_end_is_known():
    limits.begin(gate())
    limits.begin(gate())
    with pytest.raises(TooMany):
        limits.begin(gate())


def test_a_success_forgets_the_failures_of_the_name_and_not_those_of_the_address():
    name, address = gate(forgets=True), Gate("address", "192.0.2.1", (Rule(20, limits.HOUR),))
    fail(1, which=name)
    fail(1, which=address)
    limits.begin(name, address).succeeded()
    assert list(FailedAttempt.objects.values_list("key", flat=True)) == [address.key]


def test_others_are_counted_apart_and_nothing_that_was_typed_is_stored():
    fail(2)
    limits.begin(gate("grace"))
    keys = FailedAttempt.objects.values_list("key", flat=True)
    assert not [k for k in keys if "ada" in k or "grace" in k]
    assert gate("ada").key != Gate("address", "ada", (SHORT,)).key


def test_rows_live_for_an_hour():
    fail(3, ago=3_601)
    limits.begin(gate("grace")).succeeded()
    assert not FailedAttempt.objects.exists()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1, "1 second"), (89, "89 seconds"), (90, "2 minutes"), (3_600, "60 minutes")],
)
def test_the_wait_is_said_in_words(seconds, words):
    assert str(TooMany(seconds)) == f"Too many attempts that failed. Try again in {words}."


def test_an_address_that_is_not_known_locks_nobody_out():
    assert [g.kind for g in limits.login_gates("ada", "")] == ["name"]
    assert [g.kind for g in limits.mail_gates("a@b.example", "")] == ["mail to"]
