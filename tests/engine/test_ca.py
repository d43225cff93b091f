import socket
import ssl
import threading
from pathlib import Path

import pytest
from cryptography import x509

from replays_app.engine.gateway.ca import CertificateAuthority
from replays_app.engine.gateway.trust import machine_roots


@pytest.fixture
def authority():
    made = CertificateAuthority(inherited={})
    yield made
    made.close()


def shake_hands(authority, host, name):
    """Which certificate a client that trusts the bundle accepts for `name`."""
    ours, theirs = socket.socketpair()

    def serve():
        with (
            authority.context(host).wrap_socket(ours, server_side=True) as served,
            served,
        ):
            served.recv(1)

    server = threading.Thread(target=serve)
    server.start()
    client = ssl.create_default_context(cafile=str(authority.bundle_file))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    try:
        with client.wrap_socket(theirs, server_hostname=name) as tls:
            tls.send(b"x")
            return tls.getpeercert(binary_form=True)
    finally:
        server.join()


@pytest.mark.parametrize("host", ["api.test", "127.0.0.1", "::1", "a" * 60 + "." + "b" * 60])
def test_a_client_that_trusts_the_bundle_accepts_the_hosts_certificate(authority, host):
    leaf = x509.load_der_x509_certificate(shake_hands(authority, host, host))
    assert leaf.subject != leaf.issuer


def test_the_key_is_never_written(authority):
    authority.context("api.test")
    folder = authority.cert_file.parent
    assert sorted(p.name for p in folder.iterdir()) == ["bundle.pem", "ca.pem"]
    assert b"PRIVATE" not in b"".join(p.read_bytes() for p in folder.iterdir())
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_host_gets_one_certificate(authority):
    assert authority.context("api.test") is authority.context("api.test")


def test_nothing_is_left_on_the_disk():
    authority = CertificateAuthority(inherited={})
    folder = authority.cert_file.parent
    authority.close()
    assert not folder.exists()


def test_two_gateways_do_not_share_an_authority(authority):
    other = CertificateAuthority(inherited={})
    assert other.cert_file.read_bytes() != authority.cert_file.read_bytes()
    other.close()


def test_the_environment_names_files_that_exist(authority):
    assert {Path(path).exists() for path in authority.env().values()} == {True}


def test_the_bundle_keeps_the_roots_that_the_environment_adds(tmp_path):
    system, private = tmp_path / "system.pem", tmp_path / "private.pem"
    system.write_bytes(b"system\n")
    private.write_bytes(b"private\n")
    env = {
        "SSL_CERT_FILE": str(system),
        "REQUESTS_CA_BUNDLE": str(private),
        "CURL_CA_BUNDLE": str(private),
        "AWS_CA_BUNDLE": str(tmp_path / "missing.pem"),
    }
    assert machine_roots(env) == [b"system\n", b"private\n"]
