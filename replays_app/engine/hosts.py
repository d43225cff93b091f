"""Which hosts we connect to on behalf of someone who is not the operator; plain values.

Two rules, asked for every URL before it is kept, again before each request, and for the address of
each connection that is really made (so a name that resolves to another address meanwhile is seen):

- the host is one that the operator listed; whether a listed name may lead to a private or loopback
  address is the operator's choice, made by listing it;
- link-local addresses and those of metadata services are never connected to, whoever listed them.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, Self
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address
SHOWN = 5  # allowed hosts that an error names

# Instance metadata gives a machine's credentials to whoever can ask from it. Beside link-local:
# what some clouds use instead, and what is no address of one host.
_NEVER = [
    ip_network(text)
    for text in (
        *("169.254.0.0/16", "fe80::/10"),  # link-local: AWS, GCP, Azure, …
        *("fd00:ec2::/32", "fd20:ce::/64"),  # AWS and GCP, over IPv6
        *("100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32"),  # Alibaba, Azure, Oracle
        *("0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4", "::/128", "ff00::/8"),
    )
]
_NEVER_NAMES = frozenset(
    """metadata metadata.google.internal metadata.goog instance-data instance-data.ec2.internal
    metadata.azure.internal metadata.azure.com metadata.tencentyun.com metadata.platformequinix.com
    metadata.packet.net rancher-metadata""".split()  # noqa: SIM905
)
# IPv6 addresses that carry an IPv4 address in their last 32 bits: compatible, mapped, translated,
# NAT64 (the well-known prefix and the local one).
_CARRIERS = [
    ip_network(text)
    for text in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48")
]
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)")
_NETLOC = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:@/?#]+)(:[0-9]{1,5})?")
_PORTS = {"http": 80, "https": 443}


class HostRefused(OSError):
    """Not connected to. An OSError, so that whoever connects reports it as its own kind."""

    def __init__(self, saw: str, remedy: str) -> None:
        super().__init__(f"{saw}; {remedy}")
        self.saw = saw
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Entry:
    """One listed host: a name, `*.` and a name (any depth below it), or an address."""

    host: str | Address
    port: int | None  # None: any

    @classmethod
    def parse(cls, text: str) -> Self:
        """`agents.example.com`, `*.example.com:8443`, `10.0.0.5:8080`, `[fd00::5]`. Raises
        ValueError."""
        found = _NETLOC.fullmatch(text)
        if found is None:
            raise ValueError(f"{text} is no host or host:port (IPv6 stands in brackets)")
        port = int(found[2][1:]) if found[2] else None
        if port is not None and not 1 <= port <= 65535:
            raise ValueError(f"{text} has no port between 1 and 65535")
        is_wild = found[1].startswith("*.")
        try:
            host = _read(found[1].removeprefix("*."))
            _refuse_always(host)
        except HostRefused as refused:
            raise ValueError(str(refused)) from refused
        if is_wild and not isinstance(host, str):
            raise ValueError(f"{text}: * stands for the first part of a name, not of an address")
        return cls(f"*.{host}" if is_wild else host, port)

    def admits(self, host: str | Address, port: int) -> bool:
        if self.port is not None and self.port != port:
            return False
        if isinstance(self.host, str) and self.host.startswith("*."):
            return isinstance(host, str) and host.endswith(self.host[1:])
        return host == self.host

    def __str__(self) -> str:
        host = f"[{self.host}]" if isinstance(self.host, IPv6Address) else str(self.host)
        return host if self.port is None else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """The operator's list. Empty: nothing is allowed. `purpose` and `setting` say in a refusal what
    the list is for, and where the operator keeps it."""

    entries: tuple[Entry, ...] = ()
    purpose: str = "agents of a project"
    setting: str = "FLAKESTORM_AGENT_HOSTS"

    @classmethod
    def parse(cls, words: Iterable[str], **said: str) -> Self:
        """Raises ValueError with the word that is at fault."""
        return cls(tuple(Entry.parse(word) for word in words), **said)

    def check(self, url: str) -> None:
        """Raises HostRefused unless `url` may be connected to, as far as its text tells."""
        self.check_host(*_host_and_port(url))

    def check_host(self, host: str, port: int) -> None:
        """`host` without brackets. Raises HostRefused."""
        known = _read(host)
        _refuse_always(known)
        if not any(entry.admits(known, port) for entry in self.entries):
            shown = [str(entry) for entry in self.entries[:SHOWN]]
            shown += ["…"] if len(self.entries) > SHOWN else []
            raise HostRefused(
                f"{known} (port {port}) is not one of the hosts that the operator allows for "
                f"{self.purpose} (allowed: {', '.join(shown) or 'none'})",
                f"have the operator add it to {self.setting}, or use an allowed one",
            )

    def check_address(self, address: str, name: str = "") -> None:
        """An address that `name` resolved to, or that is about to be connected to. Raises
        HostRefused for what is never connected to."""
        found = ip_address(address.partition("%")[0])
        try:
            _refuse_always(found)
        except HostRefused as refused:
            if name in ("", address):
                raise
            raise HostRefused(f"{name} was resolved, and {refused.saw}", refused.remedy) from None

    def socket(self, info: tuple[Any, ...]) -> socket.socket:
        """A socket for one answer of getaddrinfo, whose address is the one that will be connected
        to. Raises HostRefused."""
        family, kind, proto, _, address = info
        self.check_address(str(address[0]))
        return socket.socket(family=family, type=kind, proto=proto)


@dataclass(frozen=True, slots=True)
class AnyHost(AllowedHosts):
    """Anywhere but to what is never connected to."""

    def check_host(self, host: str, port: int) -> None:
        _refuse_always(_read(host))


def _host_and_port(url: str) -> tuple[str, int]:
    """Raises HostRefused for what two readers of a URL could understand differently."""
    remedy = "write it like https://agents.example.com:8443/invoke"
    if not url.isascii():
        raise HostRefused("the URL has characters outside ASCII", "write the name as xn--…")
    if any(c <= " " or c in '\\"<>^`\x7f' for c in url):
        raise HostRefused('the URL has a blank, a control or one of \\ " < > ^ `', remedy)
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise HostRefused(f"the URL cannot be read ({error})", remedy) from error
    if parts.scheme not in _PORTS:
        raise HostRefused(f"the URL's scheme is {parts.scheme or 'missing'}", "use http or https")
    if "@" in parts.netloc:
        raise HostRefused(
            "the URL holds a user name or password",
            "take it out, and send it as a header that names a project secret",
        )
    found = _NETLOC.fullmatch(parts.netloc)
    if found is None:
        raise HostRefused("the URL has no readable host and port", remedy)
    port = int(found[2][1:]) if found[2] else _PORTS[parts.scheme]
    if not 1 <= port <= 65535:
        raise HostRefused(f"the URL's port is {port}", "use one between 1 and 65535")
    return found[1].strip("[]"), port


def _read(host: str) -> str | Address:
    """The one spelling of a host: an address, or a name in lower case without the last dot."""
    text = host.strip("[]").lower()
    if ":" in text:
        try:
            return IPv6Address(text.partition("%")[0]) if "%" not in text else _zoned(text)
        except ValueError as error:
            raise HostRefused(f"{host} is no IPv6 address", "correct it") from error
    text = text.removesuffix(".")
    if _NUMBER.fullmatch(text.rpartition(".")[2]):
        return _dotted(text)
    if len(text) > 253 or not _NAME.fullmatch(text):
        raise HostRefused(f"{host[:80]!r} is no host name", "correct it")
    return text


def _zoned(text: str) -> Address:
    """A zone belongs to link-local addresses; nothing else needs one."""
    _refuse_always(IPv6Address(text.partition("%")[0]))
    raise HostRefused(f"{text} has a zone", "write the address without it")


def _dotted(text: str) -> IPv4Address:
    """Only the plain spelling of an IPv4 address. C libraries also read `2130706433`, `0x7f.1` and
    `0177.0.0.1`, and other readers understand some of these differently."""
    try:
        return IPv4Address(text)
    except ValueError:
        pass
    try:
        meant = IPv4Address(socket.inet_aton(text))
    except OSError as error:
        raise HostRefused(f"{text} is no address", "correct it") from error
    _refuse_always(meant)
    raise HostRefused(f"{text} is another spelling of {meant}", f"write {meant}")


def _refuse_always(host: str | Address) -> None:
    remedy = "give the address of the agent itself"
    if isinstance(host, str):
        if host in _NEVER_NAMES:
            raise HostRefused(f"{host} is a metadata service, and never connected to", remedy)
        return
    for address in (host, *_carried(host)):
        if any(address in network for network in _NEVER if network.version == address.version):
            what = f"{host}" if address == host else f"{host}, which leads to {address},"
            raise HostRefused(
                f"{what} is a link-local, metadata or unusable address, and never connected to",
                remedy,
            )


def _carried(address: Address) -> Iterable[IPv4Address]:
    """The IPv4 addresses inside an IPv6 address, to which a gateway or the kernel would lead."""
    if isinstance(address, IPv4Address):
        return
    number = int(address)
    last = IPv4Address(number & 0xFFFFFFFF)
    is_isatap = (number >> 32) & 0xFCFFFFFF == 0x00005EFE
    if is_isatap or any(address in network for network in _CARRIERS):
        if not address.is_loopback:  # ::1 lies in ::/96
            yield last
    elif address.sixtofour is not None:
        yield address.sixtofour
    elif address.teredo is not None:
        yield from address.teredo
