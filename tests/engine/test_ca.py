import datetime as dt
import socket
import ssl
import threading
from contextlib import closing
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import pkcs12

from replays_app.engine.gateway import ca, certificates
from replays_app.engine.gateway.ca import BadAuthority, CertificateAuthority
from replays_app.engine.gateway.trust import TRUSTSTORE_PASSWORD, machine_roots


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


# One that is kept


def test_a_kept_authority_is_the_same_after_a_restart_and_for_its_replicas(tmp_path):
    folder = tmp_path / "of" / "gateways"
    first, second = (CertificateAuthority({}, kept=folder) for _ in range(2))
    assert first.pem == second.pem
    assert (folder / "ca-key.pem").stat().st_mode & 0o777 == 0o600
    assert shake_hands(second, "api.test", "api.test")
    cert = x509.load_pem_x509_certificate(first.pem)
    assert (cert.not_valid_after_utc - cert.not_valid_before_utc).days > 3_000
    first.close()
    second.close()


def test_two_that_start_together_make_one_authority(tmp_path):
    barrier, made = threading.Barrier(4, timeout=20), []

    def make():
        barrier.wait()
        made.append(CertificateAuthority({}, kept=tmp_path / "ca"))

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one.pem for one in made}) == 1


def _other(folder, tmp_path):
    CertificateAuthority({}, kept=tmp_path / "other").close()
    return (tmp_path / "other" / "ca-key.pem").read_bytes()


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("ca-key.pem", None, "ca-key.pem is missing"),
        ("ca.pem", None, "ca.pem is missing"),
        ("ca-key.pem", lambda *_: b"nonsense", "has a key or certificate that is none"),
        ("ca.pem", lambda *_: b"", "has a key or certificate that is none"),
        ("ca-key.pem", _other, "is not the key of"),
    ],
)
def test_half_an_authority_is_refused_and_not_replaced(tmp_path, file, content, says):
    folder = tmp_path / "ca"
    CertificateAuthority({}, kept=folder).close()
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(content(folder, tmp_path))
    with pytest.raises(BadAuthority, match=says) as refused:
        CertificateAuthority({}, kept=folder)
    assert "remove both and give the agents the new certificate" in str(refused.value)


def test_one_that_has_expired_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(ca, "_KEPT_LIFE", dt.timedelta(seconds=-1))
    CertificateAuthority({}, kept=tmp_path).close()
    with pytest.raises(BadAuthority, match="was valid until"):
        CertificateAuthority({}, kept=tmp_path)


def test_a_hosts_certificate_is_made_anew_before_it_expires(authority, monkeypatch):
    first = authority.context("api.test")
    monkeypatch.setattr(certificates, "_RENEWED_S", -1.0)
    assert authority.context("api.test") is not first


def test_java_gets_the_same_roots_as_the_others(authority):
    found = pkcs12.load_pkcs12(authority.truststore_file.read_bytes(), TRUSTSTORE_PASSWORD.encode())
    roots = {entry.certificate.fingerprint(hashes.SHA256()) for entry in found.additional_certs}
    own = x509.load_pem_x509_certificate(authority.cert_file.read_bytes())
    assert own.fingerprint(hashes.SHA256()) in roots
    assert len(roots) >= authority.bundle_file.read_bytes().count(b"BEGIN CERTIFICATE") - 5


def test_a_root_that_cannot_be_read_is_left_out_for_java(tmp_path):
    broken = tmp_path / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    with closing(CertificateAuthority({"NODE_EXTRA_CA_CERTS": str(broken)})) as made:
        assert b"AAAA" in made.bundle_file.read_bytes()
        assert made.truststore_file.stat().st_size > 1000
