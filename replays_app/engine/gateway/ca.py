"""The certificate authority of one gateway: made when first needed, gone with the gateway.

Its key never leaves the process. Only the agents that a replay starts are told to trust it.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import ssl
import tempfile
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from replays_app.engine.gateway.trust import ADDED_VARIABLES, BUNDLE_VARIABLES, machine_roots

_CACHED_HOSTS = 1_000
_LIFE = dt.timedelta(days=30)
_SKEW = dt.timedelta(days=1)  # an agent's clock may be behind ours


class CertificateAuthority:
    """`inherited`: the environment whose extra roots stay trusted, for hosts that stay live."""

    def __init__(self, inherited: Mapping[str, str] = os.environ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="flakestorm-ca-")  # mode 0700
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._leaf_key = ec.generate_private_key(ec.SECP256R1())
        self._leaf_key_pem = self._leaf_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        self._name = _common_name("Flakestorm replay CA")
        self._contexts: OrderedDict[tuple[str, ...], ssl.SSLContext] = OrderedDict()
        folder = Path(self._folder.name)
        self.cert_file, self.bundle_file = folder / "ca.pem", folder / "bundle.pem"
        pem = self._make_root().public_bytes(serialization.Encoding.PEM)
        self.cert_file.write_bytes(pem)
        self.bundle_file.write_bytes(b"\n".join([pem, *machine_roots(inherited)]))

    def env(self) -> dict[str, str]:
        """What makes the usual clients trust this authority and the machine's own."""
        return {
            **dict.fromkeys(BUNDLE_VARIABLES, str(self.bundle_file)),
            **dict.fromkeys(ADDED_VARIABLES, str(self.cert_file)),
        }

    def context(self, *hosts: str) -> ssl.SSLContext:
        """A server's context with a certificate for these host names or IP addresses."""
        context = self._contexts.get(hosts)
        if context is None:
            context = self._contexts[hosts] = self._make_context(hosts)
            if len(self._contexts) > _CACHED_HOSTS:
                self._contexts.popitem(last=False)
        return context

    def close(self) -> None:
        self._folder.cleanup()

    def _make_context(self, hosts: Sequence[str]) -> ssl.SSLContext:
        leaf = self._make_leaf(hosts).public_bytes(serialization.Encoding.PEM)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["http/1.1"])
        # The standard library reads certificates from files only.
        with tempfile.NamedTemporaryFile(dir=self._folder.name) as file:
            file.write(leaf + self._leaf_key_pem)
            file.flush()
            context.load_cert_chain(file.name)
        return context

    def _make_root(self) -> x509.Certificate:
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
        public = self._key.public_key()
        return (
            self._builder(self._name, public)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def _make_leaf(self, hosts: Sequence[str]) -> x509.Certificate:
        names = [_general_name(host) for host in hosts]
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        server = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        return (
            self._builder(_common_name("Flakestorm replay"), self._leaf_key.public_key())
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(server, critical=False)
            .add_extension(issuer, critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def _builder(
        self, subject: x509.Name, public: ec.EllipticCurvePublicKey
    ) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _SKEW)
            .not_valid_after(now + _LIFE)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        )


def _common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
