import pytest

from replays_app.engine.clock import HOLD_MS, Interval, VirtualClock
from replays_app.engine.formats.session import Latency

VIRTUAL = Latency()


def test_calls_one_after_the_other_add_up():
    clock = VirtualClock()
    for latency_ms in (100, 200, 300):
        clock.end(clock.begin(latency_ms, VIRTUAL))
    assert clock.total_ms == 600


def test_calls_in_flight_together_count_once_as_the_longest():
    clock = VirtualClock()
    flights = [clock.begin(latency_ms, VIRTUAL) for latency_ms in (100, 30_000, 200)]
    for flight in flights:
        clock.end(flight)
    assert clock.total_ms == 30_000


def test_a_call_that_begins_while_another_is_in_flight_starts_where_the_clock_is():
    clock = VirtualClock()
    slow = clock.begin(1000, VIRTUAL)
    clock.end(clock.begin(300, VIRTUAL))
    second = clock.begin(900, VIRTUAL)  # the clock is at 300
    clock.end(slow)
    clock.end(second)
    assert clock.total_ms == 1200


def test_a_call_that_nobody_waited_for_adds_nothing():
    clock = VirtualClock()
    clock.begin(5000, VIRTUAL)
    assert clock.total_ms == 0


@pytest.mark.parametrize(
    ("recorded", "total_ms"),
    [
        ([(0, 1000), (0, 1000)], 1000),
        ([(0, 1000), (400, 1400)], 1400),
        ([(0, 1000), (1000, 2000)], 2000),
        ([(0, 1000), (5000, 6000)], 2000),
        ([(400, 1400), (0, 1000)], 1000),
        ([(0, 30_000), (10_000, 35_000), (20_000, 25_000)], 35_000),
    ],
)
def test_recorded_intervals_that_overlap_count_once(recorded, total_ms):
    clock = VirtualClock()
    for start_ms, end_ms in recorded:
        clock.end(clock.begin(end_ms - start_ms, VIRTUAL, Interval(start_ms, end_ms)))
    assert clock.total_ms == total_ms


@pytest.mark.parametrize(
    ("latency", "recorded_ms", "delay_ms", "virtual_ms"),
    [
        (Latency(), 0, 0, 0),
        (Latency(), 49, 0, 49),
        (Latency(), 50, HOLD_MS, 50),
        (Latency(mode="real"), 200, 200, 0),
        (Latency(mode="real", cap_ms=50), 200, 50, 150),
        (Latency(mode="scaled", factor=0.1), 200, 20, 180),
        (Latency(mode="scaled", factor=3), 200, 600, 0),
        (Latency(mode="scaled", factor=0.5, cap_ms=30), 200, 30, 170),
    ],
)
def test_the_delay_and_the_virtual_part_add_up_to_the_recorded_latency(
    latency, recorded_ms, delay_ms, virtual_ms
):
    flight = VirtualClock().begin(recorded_ms, latency)
    assert (flight.delay_ms, flight.virtual_ms) == (delay_ms, virtual_ms)


def test_a_call_that_was_not_waited_for_is_shortened_afterwards_and_so_is_what_began_since():
    clock = VirtualClock()
    first = clock.begin(30_000, VIRTUAL)
    beside = clock.begin(20_000, VIRTUAL)
    clock.end(first)
    then = clock.begin(500, VIRTUAL)
    clock.shorten(first, 10_000)
    assert (clock.total_ms, then.start_ms) == (10_000, 10_000)
    clock.end(then)
    clock.end(beside)
    assert clock.total_ms == 20_000


def test_a_call_is_never_lengthened():
    clock = VirtualClock()
    call = clock.begin(100, VIRTUAL)
    clock.end(call, waited_ms=5000)
    clock.shorten(call, 5000)
    assert clock.total_ms == 100


def test_a_shortened_call_still_overlaps_those_that_it_overlapped_in_the_recording():
    clock = VirtualClock()
    first = clock.begin(1000, VIRTUAL, Interval(0, 1000))
    clock.end(first)
    second = clock.begin(1000, VIRTUAL, Interval(200, 1200))
    clock.end(second)
    clock.shorten(first, 300)
    assert (second.start_ms, clock.total_ms) == (200, 1200)
