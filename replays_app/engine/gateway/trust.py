"""Whom agents trust: the machine's roots, and the variables by which HTTP clients are told more."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path

# Where Linux distributions, the BSDs and macOS keep their roots in one file.
_ROOT_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/usr/local/share/certs/ca-root-nss.crt",
)
BUNDLE_VARIABLES = (
    *("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE", "PIP_CERT"),
    *("GIT_SSL_CAINFO", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"),
)
ADDED_VARIABLES = ("NODE_EXTRA_CA_CERTS", "DENO_CERT")  # added to built-in roots
CA_VARIABLES = (*BUNDLE_VARIABLES, *ADDED_VARIABLES)
TRUSTSTORE_PASSWORD = "changeit"  # noqa: S105 - Java's usual one; the file holds certificates only


def machine_roots(env: Mapping[str, str]) -> list[bytes]:
    """The roots that this machine trusts, and those that the environment adds, as PEM. A file that
    cannot be read is left out: who named it learns of it from their own client."""
    paths = ssl.get_default_verify_paths()
    system = next(
        (p for p in (env.get("SSL_CERT_FILE"), paths.cafile, *_ROOT_FILES) if p and _readable(p)),
        None,
    )
    named = (env.get(name) for name in CA_VARIABLES)
    files = list(dict.fromkeys(p for p in (system, *named) if p and _readable(p)))
    if system is None and paths.capath:
        files += sorted(str(p) for p in Path(paths.capath).glob("*.[0-9]"))
    return [Path(p).read_bytes() for p in files]


def _readable(path: str) -> bool:
    return Path(path).is_file() and os.access(path, os.R_OK)
