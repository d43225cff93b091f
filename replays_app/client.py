"""Which address a request came from, as far as it can be known."""

from __future__ import annotations

import ipaddress

from django.conf import settings
from django.http import HttpRequest


def address_of(request: HttpRequest) -> str:
    """The client's IP address; empty when the server does not know one (a Unix socket).

    Each trusted proxy (FLAKESTORM_PROXIES) adds the address that it saw at the end of
    X-Forwarded-For. What stands before those was written by the client and is not believed.
    """
    seen = request.META.get("REMOTE_ADDR", "")
    if settings.PROXIES:
        hops = request.headers.get("X-Forwarded-For", "").split(",")
        if len(hops) >= settings.PROXIES and (address := _ip(hops[-settings.PROXIES])):
            return address
    return _ip(seen)


def network_of(request: HttpRequest) -> str:
    """What counts as one client: an IPv4 address, or the /64 that an IPv6 client may pick from."""
    address = address_of(request)
    if ":" not in address:
        return address
    return str(ipaddress.ip_network(f"{address}/64", strict=False))


def _ip(text: str) -> str:
    """Some proxies add the port; an IPv4 address in IPv6 clothes is still that address."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
