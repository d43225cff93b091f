import pytest

from tests.standing.place import Place


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    # Not tmp_path: a Unix socket's path must be short.
    made = Place(tmp_path_factory.mktemp("standing"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def gateway(place):
    return place.gateway()
