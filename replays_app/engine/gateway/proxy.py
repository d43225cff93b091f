"""The proxy door: what becomes of a request, or of a CONNECT, to a host out there."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Literal

from replays_app.engine.gateway.args import call_args
from replays_app.engine.gateway.deck import Deck
from replays_app.engine.gateway.rules import split_authority, target_of
from replays_app.engine.gateway.wire import Address, Request
from replays_app.engine.play import Play


def play_request(request: Request, address: Address, deck: Deck) -> Play:
    """A tool's request is answered from the tape, what is listed under passthrough stays live,
    anything else is blocked. Raises ValueError for an authority that is none."""
    target = target_of(request.method, address.scheme, address.authority, address.origin)
    now_ms, method, url = deck.now_ms(), target.method, target.url
    for tool in deck.tools:
        fit = tool.pattern.match(target)
        if fit is not None:
            body, kind = bytes(request.body), request.header(b"content-type")
            args, textual = call_args(fit.names, fit.query, body, kind)
            return deck.tape.begin(
                tool.tool,
                args,
                textual=textual,
                now_ms=now_ms,
                door="proxy",
                method=method,
                url=url,
            )
    if any(pattern.match(target) for pattern in deck.live):
        return deck.tape.passed_through(method, url, now_ms=now_ms)
    expected = any(pattern.match(target) for pattern in deck.unwanted)
    return deck.tape.blocked(method, url, expected, now_ms=now_ms)


def play_connect(authority: str, deck: Deck) -> Literal["intercept"] | Play:
    """A host of a tool is intercepted, also when passthrough names it: its requests tell more. One
    that only passthrough names is tunnelled unread; any other is blocked, without a certificate
    being made for it, unless only its requests tell which attempt they belong to. Raises ValueError
    for an authority that is none."""
    host, port = split_authority(authority, 443)
    if any(tool.pattern.names_host(host, port) for tool in deck.tools):
        return "intercept"
    if any(pattern.names_host(host, port) for pattern in deck.live):
        return deck.tape.passed_through("CONNECT", authority, now_ms=deck.now_ms())
    expected = any(pattern.names_host(host, port) for pattern in deck.unwanted)
    if deck.is_crowd and not expected:
        return "intercept"
    return deck.tape.blocked("CONNECT", authority, expected, now_ms=deck.now_ms())


def is_live(host: str, port: int, deck: Deck) -> bool:
    """Of TLS that was led here: whether it is tunnelled unread. The port is a guess, so that any
    tool of this host has it intercepted."""
    return any(pattern.names_host(host, port) for pattern in deck.live) and not any(
        tool.pattern.host is None or tool.pattern.host.match(host) is not None
        for tool in deck.tools
    )


def addresses(deck: Deck | None) -> list[str]:
    """Whom a client may want that gives no name in TLS: it knows an address only."""
    patterns = [tool.pattern for tool in deck.tools] if deck is not None else []
    literal = (p.host.literal for p in patterns if p.host is not None)
    named = [host for host in literal if host is not None and _is_address(host)]
    return list(dict.fromkeys(("127.0.0.1", "::1", *named)))


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
