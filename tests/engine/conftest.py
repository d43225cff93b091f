"""What tests of the engine need."""

import pytest


@pytest.fixture
def model():
    """A model's API, scripted."""
    from tests.fakes.model_api import ModelApi  # only where it is asked for

    with ModelApi() as api:
        yield api
