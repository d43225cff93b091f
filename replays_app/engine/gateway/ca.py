"""The certificate authority of a gateway: made when first needed.

That of a replay is gone with it: its key never leaves the process, and only the agents that the
replay starts are told to trust it. A standing gateway keeps its own in a folder, since agents were
told once to trust it.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import ipaddress
import os
import ssl
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from replays_app.engine.gateway.certificates import Certificates
from replays_app.engine.gateway.trust import (
    ADDED_VARIABLES,
    BUNDLE_VARIABLES,
    TRUSTSTORE_PASSWORD,
    machine_roots,
)

KEY_FILE, CERT_FILE = "ca-key.pem", "ca.pem"
_LIFE = dt.timedelta(days=30)
_KEPT_LIFE = dt.timedelta(days=3650)
_SKEW = dt.timedelta(days=1)  # an agent's clock may be behind ours


class BadAuthority(Exception):
    """What is kept cannot be used; says what was seen and what would do."""


class CertificateAuthority:
    """`inherited`: the environment whose extra roots stay trusted, for hosts that stay live.
    `kept`: the folder where it is kept, and made if it is not there; None: nowhere. Raises
    BadAuthority and OSError."""

    def __init__(
        self, inherited: Mapping[str, str] = os.environ, *, kept: Path | None = None
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="flakestorm-ca-")  # mode 0700
        self._key, pem = _kept(kept) if kept is not None else _made(_LIFE)
        self._leaf_key = ec.generate_private_key(ec.SECP256R1())
        self._leaf_key_pem = _private(self._leaf_key)
        self._known = Certificates()
        self.pem = pem
        folder = Path(self._folder.name)
        self.cert_file, self.bundle_file = folder / "ca.pem", folder / "bundle.pem"
        self.cert_file.write_bytes(pem)
        self.bundle_file.write_bytes(b"\n".join([pem, *machine_roots(inherited)]))

    @property
    def truststore_file(self) -> Path:
        """The bundle as Java reads it; made when it is first asked for, which takes some 20 ms. It
        holds nothing secret: the password is what Java's own has."""
        path = self.bundle_file.with_suffix(".p12")
        if not path.exists():
            path.write_bytes(
                pkcs12.serialize_java_truststore(
                    [
                        pkcs12.PKCS12Certificate(certificate, b"%d" % n)
                        for n, certificate in enumerate(_certificates(self.bundle_file))
                    ],
                    serialization.BestAvailableEncryption(TRUSTSTORE_PASSWORD.encode()),
                )
            )
        return path

    def env(self) -> dict[str, str]:
        """What makes the usual clients trust this authority and the machine's own."""
        return {
            **dict.fromkeys(BUNDLE_VARIABLES, str(self.bundle_file)),
            **dict.fromkeys(ADDED_VARIABLES, str(self.cert_file)),
        }

    def context(self, *hosts: str) -> ssl.SSLContext:
        """A server's context with a certificate for these host names or IP addresses."""
        return self._known.get(*hosts) or self._known.put(self.leaf_pem(*hosts), *hosts)

    def close(self) -> None:
        self._folder.cleanup()

    def leaf_pem(self, *hosts: str) -> bytes:
        """A certificate for these hosts, and its key."""
        leaf = self._make_leaf(hosts).public_bytes(serialization.Encoding.PEM)
        return leaf + self._leaf_key_pem

    def _make_leaf(self, hosts: Sequence[str]) -> x509.Certificate:
        names = [_general_name(host) for host in hosts]
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        server = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        return (
            _builder(_common_name("Flakestorm replay"), self._leaf_key.public_key(), _LIFE)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(server, critical=False)
            .add_extension(issuer, critical=False)
            .sign(self._key, hashes.SHA256())
        )


def _kept(folder: Path) -> tuple[ec.EllipticCurvePrivateKey, bytes]:
    """The key and the certificate of a folder, which are made there once. Several gateways may
    share it, and start together."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key_file, cert_file = folder / KEY_FILE, folder / CERT_FILE
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not key_file.exists() and not cert_file.exists():
            key, pem = _made(_KEPT_LIFE)
            # The certificate last: a start that was killed in between has no half of it.
            _write(key_file, _private(key), 0o600)
            _write(cert_file, pem, 0o644)
            return key, pem
    return _read(key_file, cert_file)


def _read(key_file: Path, cert_file: Path) -> tuple[ec.EllipticCurvePrivateKey, bytes]:
    advice = "put both files back, or remove both and give the agents the new certificate"
    for file in (key_file, cert_file):
        if not file.exists():
            raise BadAuthority(f"{file} is missing; {advice}")
    pem = cert_file.read_bytes()
    try:
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
        cert = x509.load_pem_x509_certificate(pem)
    except (ValueError, TypeError) as error:
        raise BadAuthority(
            f"{key_file.parent} has a key or certificate that is none; {advice}"
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != cert.public_key():
        raise BadAuthority(f"{key_file} is not the key of {cert_file}; {advice}")
    if cert.subject != _NAME:
        raise BadAuthority(f"{cert_file} was not made by flakestorm gateway; {advice}")
    if cert.not_valid_after_utc < dt.datetime.now(dt.UTC):
        raise BadAuthority(
            f"{cert_file} was valid until {cert.not_valid_after_utc:%Y-%m-%d}; remove both files, "
            "start again, and give the agents the new certificate"
        )
    return key, pem


def _write(path: Path, data: bytes, mode: int) -> None:
    """Whole or not at all."""
    beside = path.with_suffix(".new")
    with suppress(FileNotFoundError):
        beside.unlink()
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
        os.fsync(file.fileno())
    beside.rename(path)


def _made(life: dt.timedelta) -> tuple[ec.EllipticCurvePrivateKey, bytes]:
    """A key, and the certificate of its authority as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    cert = (
        _builder(_NAME, key.public_key(), life)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    return key, cert.public_bytes(serialization.Encoding.PEM)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _builder(
    subject: x509.Name, public: ec.EllipticCurvePublicKey, life: dt.timedelta
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(_NAME)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _certificates(bundle: Path) -> list[x509.Certificate]:
    """One that cannot be read is left out, as OpenSSL does it."""
    found = []
    end = b"-----END CERTIFICATE-----"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)  # of old roots
        for text in bundle.read_bytes().split(end)[:-1]:
            with suppress(ValueError):
                found.append(x509.load_pem_x509_certificate(text + end))
    return found


def _common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


_NAME = _common_name("Flakestorm replay CA")


def _main(folder: str, *hosts: str) -> int:
    """Prints a certificate for these hosts, and its key, signed by what `folder` keeps."""
    try:
        _read(Path(folder) / KEY_FILE, Path(folder) / CERT_FILE)  # else it would be made anew
        with closing(CertificateAuthority({}, kept=Path(folder))) as authority:
            sys.stdout.buffer.write(authority.leaf_pem(*hosts))
    except (BadAuthority, OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
