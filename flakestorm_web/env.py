"""Every setting that comes from outside, read once; a bad value stops the start, by name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import dj_database_url

from flakestorm_web.mail import BadMail, Mail, read_mail
from flakestorm_web.places import (
    ROOT,
    SOCKET_PATH_LIMIT,
    data_folder,
    embedded_redis_url,
    redis_socket,
)
from replays_app.engine.hosts import AllowedHosts

__all__ = [
    "LANGSMITH_ENDPOINT",
    "ROOT",
    "SOCKET_PATH_LIMIT",
    "SOURCE_HOSTS",
    "BadSetting",
    "Env",
    "LangSmith",
    "data_folder",
    "embedded_redis_url",
    "read",
    "redis_socket",
]

# Where traces are imported from, unless the operator says otherwise: the clouds of the kinds that
# we know.
SOURCE_HOSTS = (
    "api.smith.langchain.com",
    "eu.api.smith.langchain.com",
    "aws.api.smith.langchain.com",
    "apac.api.smith.langchain.com",
    "cloud.langfuse.com",
    "us.cloud.langfuse.com",
)
LANGSMITH_ENDPOINT = "https://api.smith.langchain.com"

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class BadSetting(SystemExit):
    """Stops the process with one line that names the variable and the remedy."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LangSmith:
    """The operator's own access. Its key is sent to its own endpoint and nowhere else."""

    endpoint: str = LANGSMITH_ENDPOINT
    key: str = field(default="", repr=False)
    workspace: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Env:
    data: Path
    secret_key: str
    old_secret_keys: list[str]  # still read: sessions, links and stored secrets made under them
    database: dict[str, object]
    redis_url: str
    redis_embedded: bool
    agents_file: Path | None
    agent_hosts: AllowedHosts
    source_hosts: AllowedHosts
    langsmith: LangSmith
    hosts: list[str]
    origins: list[str]
    https: bool
    debug: bool
    lease_seconds: int
    log_level: str
    log_format: str
    metrics_token: str  # empty: /metrics is not there
    mail: Mail | None  # None: invitations and reset links are given by hand
    proxies: int  # in front of the web processes, each adding to X-Forwarded-For

    @property
    def is_sqlite(self) -> bool:
        return str(self.database["ENGINE"]).endswith("sqlite3")


def read(environ: Mapping[str, str] = os.environ) -> Env:
    data = data_folder(environ)
    redis_url = environ.get("REDIS_URL", "")
    return Env(
        data=data,
        secret_key=_secret_key(environ, data),
        old_secret_keys=_old_secret_keys(environ),
        database=_database(environ, data),
        redis_url=_redis_url(redis_url) if redis_url else embedded_redis_url(data),
        redis_embedded=not redis_url,
        agents_file=_file(environ, "FLAKESTORM_AGENTS"),
        agent_hosts=_agent_hosts(environ),
        source_hosts=_source_hosts(environ),
        langsmith=_langsmith(environ),
        hosts=_words(environ, "FLAKESTORM_HOSTS") or ["localhost", "127.0.0.1", "[::1]"],
        origins=_words(environ, "FLAKESTORM_ORIGINS"),
        https=_flag(environ, "FLAKESTORM_HTTPS"),
        debug=_flag(environ, "FLAKESTORM_DEBUG"),
        lease_seconds=_number(environ, "FLAKESTORM_LEASE_SECONDS", default=30, least=2),
        log_level=_choice(environ, "FLAKESTORM_LOG_LEVEL", LOG_LEVELS, default="INFO"),
        log_format=_choice(
            environ, "FLAKESTORM_LOG_FORMAT", ("TEXT", "JSON"), default="TEXT"
        ).lower(),
        metrics_token=_metrics_token(environ),
        mail=_mail(environ),
        proxies=_number(environ, "FLAKESTORM_PROXIES", default=0, least=0),
    )


def _secret_key(environ: Mapping[str, str], data: Path) -> str:
    key = environ.get("FLAKESTORM_SECRET_KEY", "")
    file = data / "secret_key"
    if not key and file.is_file():
        key = file.read_text().strip()
    if not key:
        raise BadSetting(
            "FLAKESTORM_SECRET_KEY",
            f"is not set and {file} does not exist. `make run` makes one; elsewhere set the "
            "variable to at least 32 random characters.",
        )
    if len(key) < 32:
        raise BadSetting("FLAKESTORM_SECRET_KEY", f"has {len(key)} characters, needs at least 32.")
    return key


def _old_secret_keys(environ: Mapping[str, str]) -> list[str]:
    name = "FLAKESTORM_OLD_SECRET_KEYS"
    keys = _words(environ, name)
    if short := next((key for key in keys if len(key) < 32), None):
        raise BadSetting(name, f"holds a key of {len(short)} characters, needs at least 32 each.")
    return keys


def _metrics_token(environ: Mapping[str, str]) -> str:
    name = "FLAKESTORM_METRICS_TOKEN"
    token = environ.get(name, "").strip()
    if token and (len(token) < 16 or not token.isascii() or not token.isprintable()):
        raise BadSetting(name, "must be at least 16 printable ASCII characters.")
    return token


def _database(environ: Mapping[str, str], data: Path) -> dict[str, object]:
    url = environ.get("DATABASE_URL") or f"sqlite:///{data / 'db.sqlite3'}"
    try:
        config: dict[str, object] = dict(dj_database_url.parse(url, conn_max_age=60))
    except (dj_database_url.ParseError, dj_database_url.UnknownSchemeError, ValueError) as error:
        raise BadSetting("DATABASE_URL", f"cannot be read ({error}).") from error
    engine = str(config.get("ENGINE", ""))
    if engine.endswith("sqlite3"):
        # IMMEDIATE: a writer waits at BEGIN instead of failing in the middle with "locked".
        config["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 30,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        }
    elif engine.endswith("postgresql"):
        config["CONN_HEALTH_CHECKS"] = True
        options = config.setdefault("OPTIONS", {})
        assert isinstance(options, dict)
        options.setdefault("connect_timeout", 5)  # seconds; a database that hangs is away
    else:
        raise BadSetting(
            "DATABASE_URL", "must be sqlite:///path or postgresql://user:password@host:port/name."
        )
    return config


def _redis_url(url: str) -> str:
    if urlsplit(url).scheme not in {"redis", "rediss", "unix"}:
        raise BadSetting("REDIS_URL", "must start with redis://, rediss:// or unix://.")
    return url


def _mail(environ: Mapping[str, str]) -> Mail | None:
    try:
        return read_mail(
            environ.get("FLAKESTORM_EMAIL_URL", ""), environ.get("FLAKESTORM_EMAIL_FROM", "")
        )
    except BadMail as error:
        raise BadSetting(error.name, error.problem) from error


def _file(environ: Mapping[str, str], name: str) -> Path | None:
    if not environ.get(name):
        return None
    path = Path(environ[name]).expanduser().resolve()
    if not path.is_file():
        raise BadSetting(name, f"{path} is not a file.")
    return path


def _agent_hosts(environ: Mapping[str, str]) -> AllowedHosts:
    name = "FLAKESTORM_AGENT_HOSTS"
    try:
        return AllowedHosts.parse(_words(environ, name))
    except ValueError as error:
        raise BadSetting(
            name,
            f"{error}. List hosts with commas: agents.example.com, *.example.com, 10.0.0.5:80.",
        ) from error


def _source_hosts(environ: Mapping[str, str]) -> AllowedHosts:
    """Those that are known are replaced, not added to, by what the operator lists."""
    name = "FLAKESTORM_SOURCE_HOSTS"
    try:
        return AllowedHosts.parse(
            _words(environ, name) or SOURCE_HOSTS, purpose="sources of traces", setting=name
        )
    except ValueError as error:
        raise BadSetting(
            name,
            f"{error}. List hosts with commas: api.smith.langchain.com, langsmith.example.com.",
        ) from error


def _langsmith(environ: Mapping[str, str]) -> LangSmith:
    """Under the names that LangSmith's own client reads."""
    name = "LANGSMITH_ENDPOINT"
    endpoint = environ.get(name, "").strip().rstrip("/") or LANGSMITH_ENDPOINT
    parts = urlsplit(endpoint)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise BadSetting(name, f"is {endpoint!r}, must be like {LANGSMITH_ENDPOINT}.")
    return LangSmith(
        endpoint=endpoint,
        key=environ.get("LANGSMITH_API_KEY", "").strip(),
        workspace=environ.get("LANGSMITH_WORKSPACE_ID", "").strip(),
    )


def _words(environ: Mapping[str, str], name: str) -> list[str]:
    return [word.strip() for word in environ.get(name, "").split(",") if word.strip()]


def _flag(environ: Mapping[str, str], name: str) -> bool:
    value = environ.get(name, "").strip().lower()
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"", "0", "false", "no", "off"}:
        return False
    raise BadSetting(name, f"is {value!r}, must be 1 or 0.")


def _number(environ: Mapping[str, str], name: str, *, default: int, least: int) -> int:
    value = environ.get(name, "")
    if not value:
        return default
    if not value.isascii() or not value.isdigit() or int(value) < least:
        raise BadSetting(name, f"is {value!r}, must be a whole number of at least {least}.")
    return int(value)


def _choice(
    environ: Mapping[str, str], name: str, choices: tuple[str, ...], *, default: str
) -> str:
    value = environ.get(name, "").strip().upper() or default
    if value not in choices:
        raise BadSetting(name, f"is {value!r}, must be one of {', '.join(choices)}.")
    return value
