"""What of which library is changed, so that its connections are led to the gateway (leading.py)."""

from __future__ import annotations

import functools
import json
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, FrozenSet, List, Optional, Tuple

_LOCAL = ("localhost", "::1", "0.0.0.0", "::", "")  # noqa: S104
_SERVICES = {"http": 80, "https": 443}
# Stands for every host that is led: names are not looked up, which would tell others of a replay.
# Of a network that is global, so that a tool which refuses private addresses goes on, and in which
# nobody is (RFC 7526).
STAND_IN = "192.88.99.1"


class Routes:
    """Which connections are led. Those to this machine are the agent's own business (its database,
    its other processes), unless a tool is there."""

    def __init__(self, settings: Dict[str, Any]) -> None:
        host, port = settings["gateway"]
        self.gateway: Tuple[str, int] = (str(host), int(port))
        self.ca_file: str = settings["ca"]
        self._ports: FrozenSet[int] = frozenset(settings["ports"])  # of any client
        self._local_ports: FrozenSet[int] = frozenset(settings["local_ports"])

    def leads(self, host: Any, port: Any, *, http: bool = False) -> bool:
        """`http`: it is a client of HTTP that asks, so that the port tells nothing."""
        name, number = _name(host), _number(port)
        if number is None or (name, number) == self.gateway:
            return False
        if is_local(name):
            return number in self._local_ports or 0 in self._local_ports  # 0: any
        return http or number in self._ports

    def address(self, host: Any, port: Any) -> Tuple[Any, Any]:
        """Where a client of HTTP is to connect to."""
        return self.gateway if self.leads(host, port, http=True) else (host, port)


routes: Any = None  # Routes


def set_up(settings: str) -> None:
    global routes
    routes = Routes(json.loads(settings))


def is_local(name: str) -> bool:
    if name.startswith("::ffff:"):
        name = name[7:]
    if name in _LOCAL or name.startswith("127.") or name.endswith(".localhost"):
        return True
    return name == socket.gethostname().lower()


def lead_sockets(module: Any) -> None:
    """For whatever library opens them; it may have looked the name up in a way of its own."""
    kind, lookup = module.socket, module.getaddrinfo
    connect, connect_ex = kind.connect, kind.connect_ex
    internet, internet6, stream = module.AF_INET, module.AF_INET6, module.SOCK_STREAM

    def led(sock: Any, address: Any) -> Any:
        if sock.family not in (internet, internet6) or sock.type != stream:
            return address
        if not isinstance(address, tuple) or len(address) < 2 or not routes.leads(*address[:2]):
            return address
        host, port = routes.gateway
        if sock.family == internet6 and ":" not in host:
            sock.setsockopt(module.IPPROTO_IPV6, module.IPV6_V6ONLY, 0)
            return (f"::ffff:{host}", port, 0, 0)
        return (host, port)

    def connect_led(self: Any, address: Any) -> Any:
        return connect(self, led(self, address))

    def connect_ex_led(self: Any, address: Any) -> Any:
        return connect_ex(self, led(self, address))

    @functools.wraps(lookup)
    def getaddrinfo(
        host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> Any:
        stands = host and type in (0, stream) and not flags & module.AI_PASSIVE
        name = _name(host)
        if not stands or is_local(name) or _is_address(module, name):
            return lookup(host, port, family, type, proto, flags)
        if family not in (0, internet, internet6) or not routes.leads(name, port):
            return lookup(host, port, family, type, proto, flags)
        number = _number(port)
        address: Tuple[Any, ...] = (STAND_IN, number)
        if family == internet6:
            address = (f"::ffff:{STAND_IN}", number, 0, 0)
        found = module.AddressFamily(family or internet), module.SocketKind(stream)
        canonical = name if flags & module.AI_CANONNAME else ""
        return [(*found, module.IPPROTO_TCP, canonical, address)]

    kind.connect, kind.connect_ex = connect_led, connect_ex_led
    module.getaddrinfo = getaddrinfo


def trust(module: Any) -> None:
    """Roots that a client brings itself (certifi's, a company's) are trusted beside the gateway's.
    Those that OpenSSL finds are told by SSL_CERT_FILE."""
    kind = module.SSLContext
    load = kind.load_verify_locations

    def load_verify_locations(
        self: Any, cafile: Any = None, capath: Any = None, cadata: Any = None
    ) -> None:
        load(self, cafile, capath, cadata)
        if routes.ca_file != cafile:
            try:
                load(self, routes.ca_file)
            except OSError:
                return  # the gateway is gone, and with it what it could have been trusted for

    kind.load_verify_locations = load_verify_locations


def lead_http_client(module: Any) -> None:
    kind = module.HTTPConnection
    connect = kind.connect

    @functools.wraps(connect)
    def connect_led(self: Any) -> Any:
        if not routes.leads(self.host, self.port, http=True):
            return connect(self)
        create = self._create_connection
        self._create_connection = lambda _, *rest, **more: create(routes.gateway, *rest, **more)
        try:
            return connect(self)
        finally:
            self._create_connection = create

    kind.connect = connect_led


def lead_urllib3(module: Any) -> None:
    create = module.create_connection

    @functools.wraps(create)
    def create_connection(address: Any, *rest: Any, **more: Any) -> Any:
        return create(routes.address(*address), *rest, **more)

    module.create_connection = create_connection


def lead_httpcore(module: Any) -> None:
    """Of httpx and httpx2; sync or async, one of them is in each of the modules."""
    names = ("SyncBackend", "AnyIOBackend", "AnyioBackend", "TrioBackend")
    for kind in (getattr(module, name) for name in names if hasattr(module, name)):
        kind.connect_tcp = _led_tcp(kind.connect_tcp)


def _led_tcp(connect: Any) -> Any:
    @functools.wraps(connect)
    def connect_tcp(self: Any, host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        return connect(self, *routes.address(host, port), *rest, **more)

    return connect_tcp


def lead_aiohttp(module: Any) -> None:
    """Whatever resolver it has."""
    kind = module.TCPConnector
    resolve = kind._resolve_host

    @functools.wraps(resolve)
    async def resolve_host(self: Any, host: str, port: int, *rest: Any, **more: Any) -> Any:
        if not routes.leads(host, port, http=True):
            return await resolve(self, host, port, *rest, **more)
        address, at = routes.gateway
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        found: Dict[str, Any] = {"hostname": host, "host": address, "port": at, "family": family}
        return [{**found, "proto": 0, "flags": socket.AI_NUMERICHOST}]

    kind._resolve_host = resolve_host


def lead_uvloop(module: Any) -> None:
    """Its connections are made in C, its own lookup too."""
    kind = module.Loop
    create = kind.create_connection

    @functools.wraps(create)
    async def create_connection(
        self: Any, factory: Any, host: Any = None, port: Any = None, **more: Any
    ) -> Any:
        if host is not None and routes.leads(host, port):
            if more.get("ssl"):
                more.setdefault("server_hostname", host)
            host, port = routes.gateway
        return await create(self, factory, host, port, **more)

    kind.create_connection = create_connection


def _name(host: Any) -> str:
    if isinstance(host, (bytes, bytearray)):
        host = bytes(host).decode("ascii", "replace")
    return str(host or "").strip("[]").rstrip(".").partition("%")[0].lower()


def _number(port: Any) -> Optional[int]:
    if isinstance(port, (bytes, bytearray)):
        port = bytes(port).decode("ascii", "replace")
    try:
        return int(port)
    except (TypeError, ValueError):
        return _SERVICES.get(port) if isinstance(port, str) else None


def _is_address(module: Any, name: str) -> bool:
    families: List[Any] = [module.AF_INET, module.AF_INET6]
    for family in families:
        try:
            module.inet_pton(family, name)
            return True
        except (OSError, ValueError):
            continue
    return False
