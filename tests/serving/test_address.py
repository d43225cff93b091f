import socket

import pytest

from flakestorm_web.serving import address
from flakestorm_web.serving.stop import CannotStart


@pytest.mark.parametrize(("text", "port"), [("0", 0), ("8000", 8000), ("65535", 65535)])
def test_a_port_is_a_whole_number(text, port):
    assert address.parse_port(text) == port


@pytest.mark.parametrize("text", ["", "abc", "-1", "65536", "80.5", "８０"])
def test_what_is_no_port_is_refused_by_name(text):
    with pytest.raises(CannotStart, match="PORT is"):
        address.parse_port(text)


def test_port_zero_takes_a_free_one():
    with address.listen("127.0.0.1", 0) as sock:
        assert sock.getsockname()[1] > 0


def test_a_taken_port_names_the_remedy():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(CannotStart) as refused:
            address.listen("127.0.0.1", port)
    assert str(refused.value).startswith(f"port {port} is taken by another program; stop it or:")
    assert f"make run PORT={port + 1}" in str(refused.value) or port == 65535


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1"])
def test_a_host_that_is_not_this_machine_is_refused_by_name(host):
    with pytest.raises(CannotStart, match=f"HOST is '{host}'"):
        address.listen(host, 0)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80/"),
        ("0.0.0.0", "http://127.0.0.1:80/"),
        ("::", "http://[::1]:80/"),
        ("localhost", "http://localhost:80/"),
    ],
)
def test_the_url_is_one_that_can_be_opened_here(host, url):
    assert address.url_of(host, 80) == url
