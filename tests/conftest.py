"""What tests of several folders need."""

import pytest


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
