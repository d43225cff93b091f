"""`match_url`: which request is which tool, which stays live and which is blocked as expected.

A pattern is `[METHOD ]URL`. The URL is `scheme://host:port/path?query`, or without the scheme.

- host: case does not count; `*` stands for one label or a part of it, never across a dot, and alone
  for any host. Without a port it means the scheme's own (80 or 443); `:*` is any port.
- path: absent means any; `*` stands for any text, slashes included, `{name}` for a part of one
  segment, which becomes an argument. Percent-encoding and dot segments are resolved first.
- query: each of its parameters must be present and match; others may be there too.

Matching takes linear time: what a backtracking engine could be slow on goes to RE2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol
from urllib.parse import parse_qsl, quote_from_bytes, unquote, unquote_to_bytes, urlsplit

from replays_app.engine.formats.agent import ToolRule
from replays_app.engine.formats.errors import FormatError, Problem

DEFAULT_PORTS = {"http": 80, "https": 443}
_PATTERN = re.compile(
    r"(?:(?P<method>[A-Za-z]+|\*)\s+)?(?:(?P<scheme>[A-Za-z]+|\*)://)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^/?#@:\s\[\]]+)(?::(?P<port>\d{1,5}|\*))?"
    r"(?P<path>/[^?#\s]*)?(?:\?(?P<query>[^#\s]*))?"
)
_WILD = re.compile(r"\*|\{([A-Za-z_]\w*)\}", re.ASCII)
_SAFE = "-._~!$&'()+,;=:@"  # of a path segment, in its one canonical spelling


@dataclass(frozen=True, slots=True)
class Target:
    """What a request asks for, with the host in lower case and the port always there."""

    method: str
    scheme: str  # http | https
    host: str
    port: int
    path: str  # canonical
    query: tuple[tuple[str, str], ...]
    url: str  # for people: no user information


class _Compiled(Protocol):
    def fullmatch(self, text: str, /) -> _Groups | None: ...


class _Groups(Protocol):
    def groups(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class _Glob:
    """A literal, or a compiled pattern; and the names of its groups."""

    literal: str | None
    compiled: _Compiled | None
    names: tuple[str, ...]

    def match(self, text: str) -> dict[str, str] | None:
        if self.compiled is None:
            return {} if text == self.literal else None
        found = self.compiled.fullmatch(text)
        return None if found is None else dict(zip(self.names, found.groups(), strict=True))


@dataclass(frozen=True, slots=True)
class Fit:
    """A request that matches: the arguments that the pattern names, and the query without the
    parameters that the pattern itself accounts for."""

    names: dict[str, str]
    query: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class UrlPattern:
    text: str
    method: str | None
    scheme: str | None
    host: _Glob | None  # None: any
    port: int | None  # None: the scheme's own
    any_port: bool
    path: _Glob | None  # None: any
    query: tuple[tuple[str, _Glob], ...]

    @staticmethod
    @lru_cache(maxsize=4096)
    def parse(text: str) -> UrlPattern:
        """Raises ValueError that says what is wrong and what would do."""
        found = _PATTERN.fullmatch(text.strip())
        if found is None:
            raise ValueError(
                f"{text!r} is no URL pattern; write it like "
                "'GET https://api.example.com/orders/{id}', without user name or fragment"
            )
        method, scheme, port = found["method"], (found["scheme"] or "*").lower(), found["port"]
        if scheme not in ("http", "https", "*"):
            raise ValueError(
                f"{text!r} has the scheme {scheme}; only http and https can be replayed"
            )
        host = _canonical_host(found["host"])
        path = found["path"]
        pattern = UrlPattern(
            text=text,
            method=None if method in (None, "*") else method.upper(),
            scheme=None if scheme == "*" else scheme,
            host=None if host == "*" else _glob(host, ".", str),
            port=None if port in (None, "*") else int(port),
            any_port=port == "*",
            path=None if path is None else _glob(path, "/", canonical_path),
            query=tuple(
                (name, _glob(value, "", str))
                for name, value in parse_qsl(found["query"] or "", keep_blank_values=True)
            ),
        )
        names = [*pattern._names()]
        if len(names) != len(set(names)):
            raise ValueError(f"{text!r} names an argument twice")
        return pattern

    def names_host(self, host: str, port: int) -> bool:
        """For a CONNECT, which tells no more than this."""
        return any(
            self.scheme in (None, scheme) and self._fits_port(port, scheme)
            for scheme in DEFAULT_PORTS
        ) and (self.host is None or self.host.match(host) is not None)

    def match(self, target: Target) -> Fit | None:
        if (
            (self.method is not None and self.method != target.method)
            or self.scheme not in (None, target.scheme)
            or not self._fits_port(target.port, target.scheme)
            or (self.host is not None and self.host.match(target.host) is None)
        ):
            return None
        names = {} if self.path is None else self.path.match(target.path)
        if names is None:
            return None
        fit = Fit({name: unquote(value) for name, value in names.items()}, target.query)
        return self._fit_query(fit) if self.query else fit

    def _fit_query(self, fit: Fit) -> Fit | None:
        rest, names = list(fit.query), fit.names
        for name, glob in self.query:
            for pair in rest:
                found = glob.match(pair[1]) if pair[0] == name else None
                if found is not None:
                    break
            else:
                return None
            names |= found
            if glob.literal is not None or found:
                rest.remove(pair)
        return Fit(names, tuple(rest))

    def _fits_port(self, port: int, scheme: str) -> bool:
        return self.any_port or port == (self.port or DEFAULT_PORTS[scheme])

    def _names(self) -> tuple[str, ...]:
        path = self.path.names if self.path else ()
        return path + tuple(name for _, glob in self.query for name in glob.names)


@dataclass(frozen=True, slots=True)
class ToolPattern:
    tool: str
    pattern: UrlPattern


def tool_patterns(tools: Mapping[str, ToolRule]) -> tuple[ToolPattern, ...]:
    """`agent.tools`, in written order; the first that matches wins. Raises FormatError naming every
    bad one."""
    texts = [
        (tool, f"agent.tools.{tool}.match_url[{i}]", text)
        for tool, rule in tools.items()
        for i, text in enumerate(rule.match_url)
    ]
    patterns = _parse_all([(field, text) for _, field, text in texts])
    return tuple(ToolPattern(t[0], p) for t, p in zip(texts, patterns, strict=True))


def url_patterns(texts: Sequence[str], field: str) -> tuple[UrlPattern, ...]:
    """`field` is where they are written, such as `agent.passthrough`. Raises FormatError."""
    return _parse_all([(f"{field}[{i}]", text) for i, text in enumerate(texts)])


def _parse_all(written: Sequence[tuple[str, str]]) -> tuple[UrlPattern, ...]:
    patterns, problems = [], []
    for field, text in written:
        try:
            patterns.append(UrlPattern.parse(text))
        except ValueError as error:
            problems.append(Problem(str(error), field=field))
    if problems:
        raise FormatError(problems)
    return tuple(patterns)


def target_of(method: str, scheme: str, authority: str, origin: str) -> Target:
    """`origin`: path and query as sent. Raises ValueError for an authority that is none."""
    host, port = split_authority(authority, DEFAULT_PORTS[scheme])
    path, _, query = origin.partition("?")
    shown = f"[{host}]" if ":" in host else host
    shown_port = "" if port == DEFAULT_PORTS[scheme] else f":{port}"
    return Target(
        method=method,
        scheme=scheme,
        host=host,
        port=port,
        path=canonical_path(path or "/"),
        query=tuple(parse_qsl(query, keep_blank_values=True)) if query else (),
        url=f"{scheme}://{shown}{shown_port}{origin if origin.startswith('/') else '/' + origin}",
    )


def split_authority(authority: str, default_port: int) -> tuple[str, int]:
    """`host[:port]` -> host in lower case and port. Raises ValueError."""
    parts = urlsplit(f"//{authority}")
    if not parts.hostname or parts.path or parts.query or parts.fragment:
        raise ValueError(f"{authority!r} is no host")
    return _canonical_host(parts.hostname), parts.port or default_port


@lru_cache(maxsize=4096)
def canonical_path(path: str) -> str:
    """One spelling of equal paths: escapes only where needed, no dot segments. An escaped slash
    stays an escaped slash."""
    if path.isascii() and "%" not in path and "/." not in path and _PLAIN_PATH.fullmatch(path):
        return path
    segments: list[str] = []
    raw = path.split("/")[1:]
    for i, text in enumerate(raw):
        segment = quote_from_bytes(unquote_to_bytes(text), safe=_SAFE)
        if segment == "..":
            del segments[-1:]
        if segment not in (".", ".."):
            segments.append(segment)
        elif i == len(raw) - 1:
            segments.append("")
    return "/" + "/".join(segments)


_PLAIN_PATH = re.compile(rf"(?:/[A-Za-z0-9{re.escape(_SAFE)}]*)+")


def _canonical_host(host: str) -> str:
    host = host.strip("[]").rstrip(".").lower()
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise ValueError(f"{host!r} is no host name") from error


def _glob(text: str, separator: str, canonical: Callable[[str], str]) -> _Glob:
    """`separator`: what a name, and in a host a `*`, does not cross."""
    literals, names, pieces = [], [], []
    end = 0
    for found in _WILD.finditer(text):
        literals.append(text[end : found.start()])
        if found[1] and separator == ".":
            raise ValueError(f"{text!r}: a host takes *, not {{{found[1]}}}")
        names += [found[1]] if found[1] else []
        pieces.append(_wild(found[1], separator))
        end = found.end()
    if not pieces:
        return _Glob(canonical(text), None, ())
    literals.append(text[end:])
    if separator == "/":
        literals = [_canonical_piece(piece) for piece in literals]
    source = re.escape(literals[0]) + "".join(
        piece + re.escape(literal) for piece, literal in zip(pieces, literals[1:], strict=True)
    )
    compiled = re.compile(source, re.DOTALL) if _is_linear(text, separator) else _re2(source)
    return _Glob(None, compiled, tuple(names))


def _wild(name: str | None, separator: str) -> str:
    if name:
        return "([^/]+)" if separator == "/" else "(.+)"
    return "[^.]+" if separator == "." else ".*"


def _is_linear(text: str, separator: str) -> bool:
    """Whether a backtracking engine has nothing to try twice: one wildcard between two separators,
    and nothing wild after one that crosses them."""
    if not separator:
        return len(_WILD.findall(text)) == 1
    crossing = text.find("*") if separator == "/" else -1
    if crossing >= 0 and _WILD.search(text, crossing + 1):
        return False
    return all(len(_WILD.findall(part)) <= 1 for part in text.split(separator))


def _re2(source: str) -> _Compiled:
    import re2

    compiled: _Compiled = re2.compile(f"(?s){source}")
    return compiled


def _canonical_piece(piece: str) -> str:
    return "/".join(quote_from_bytes(unquote_to_bytes(s), safe=_SAFE) for s in piece.split("/"))
