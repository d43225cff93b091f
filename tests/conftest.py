"""What tests of several folders need."""

import pytest
from hypothesis import HealthCheck, settings

# The same examples each time, on a machine of any speed: a run that fails, fails again.
settings.register_profile(
    "steady",
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("steady")


@pytest.fixture(scope="module")
def beside():
    """A gateway in a thread of its own, beside the test."""
    from tests.fakes.gateways import gateway_beside  # only where it is asked for

    with gateway_beside() as running:
        yield running


@pytest.fixture
def listener(beside):
    made = beside.listen()
    yield made
    beside.run(made.close())
