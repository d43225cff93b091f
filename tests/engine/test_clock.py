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
