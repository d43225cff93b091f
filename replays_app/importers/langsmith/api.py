"""LangSmith's two APIs through its SDK: one request, one reply, whatever came back.

The SDK brings addresses, authentication and headers. Its retries are off, and its models are not
used: one run without a name must not cost a whole page.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import requests

from replays_app.engine.values import Json
from replays_app.importers.http import Session

Query = Mapping[str, str | list[str]]

_THEIRS = ("LANGSMITH_", "LANGCHAIN_")
_lock = threading.Lock()

V1_PREFIX, V2_PREFIX = "/api/v1", "/api/v2"
INFO = "/api/v1/info"  # of both


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Api(Protocol):
    """Raises requests' exceptions, TooLarge and HostRefused where there is no reply."""

    def send(self, method: str, path: str, *, query: Query, body: Json) -> Reply: ...


class V1:
    """`langsmith.Client`."""

    def __init__(self, url: str, key: str, workspace: str, session: Session) -> None:
        from langsmith import Client  # late: 0.8 s

        self._session = session
        with _without_environment():
            self._client = Client(
                url + V1_PREFIX,
                api_key=key,
                workspace_id=workspace or None,
                session=session,
                auto_batch_tracing=False,
                retry_config=_no_retries(),
                info={},
                tracing_mode="langsmith",
                disable_prompt_cache=True,
            )
        # An empty one would be looked for in a profile, or be sent.
        self._client.api_key, self._client.workspace_id = key or None, workspace or None

    def send(self, method: str, path: str, *, query: Query, body: Json) -> Reply:
        kwargs: dict[str, Any] = {"params": dict(query)}
        if body is not None:
            kwargs["data"] = json.dumps(body)
        try:
            reply = self._client.request_with_retries(
                method,  # type: ignore[arg-type]  # one of its literals
                path,
                request_kwargs=kwargs,
                stop_after_attempt=1,
            )
        except Exception:
            # Its own errors drop the answer's headers, and what went wrong; the session has both.
            if self._session.failure is not None:
                raise self._session.failure from None
            if self._session.last is None:
                raise
            reply = self._session.last
        return _reply(reply)


class V2:
    """`langsmith.Langsmith`, over the same session. It is made in half the time of `Client`."""

    def __init__(self, url: str, key: str, workspace: str, session: Session) -> None:
        from langsmith import Langsmith

        self._session = session
        with _without_environment():
            self._client = Langsmith(
                api_key=key,
                tenant_id=workspace or None,
                base_url=url,
                max_retries=0,
                http_client=_client_of(session),
            )
        # An empty one would be looked for in a profile, or be sent.
        self._client.api_key, self._client.tenant_id = key or None, workspace or None

    def send(self, method: str, path: str, *, query: Query, body: Json) -> Reply:
        import httpx2
        from langsmith import APIConnectionError, APIStatusError, Omit

        options: Any = {"params": dict(query)}
        if not self._client.api_key:
            options["headers"] = {"X-API-Key": Omit()}  # what everybody may read
        call = self._client.get if method == "GET" else self._client.post
        more = {} if method == "GET" else {"body": body}
        try:
            whole = path if path.startswith("/api/") else V2_PREFIX + path
            reply = call(whole, cast_to=httpx2.Response, options=options, **more)
        except APIStatusError as error:
            reply = error.response
        except APIConnectionError:
            if self._session.failure is not None:
                raise self._session.failure from None
            raise
        return Reply(reply.status_code, reply.headers, reply.content)


@contextmanager
def _without_environment() -> Iterator[None]:
    """While a client is made it reads endpoints, headers, modes and more from the environment, some
    of which no argument overrules: a process that is traced itself would send our requests
    elsewhere, or with another key."""
    from langsmith import utils

    with _lock:
        hidden = {name: value for name, value in os.environ.items() if name.startswith(_THEIRS)}
        for name in hidden:
            del os.environ[name]
        try:
            yield
        finally:
            os.environ.update(hidden)
            utils.get_env_var.cache_clear()  # type: ignore[attr-defined]  # behind overloads


def _client_of(session: Session) -> Any:
    """An httpx2 client over our session: what that checks and bounds holds for both APIs."""
    import httpx2

    class Transport(httpx2.BaseTransport):
        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            headers = {k: v for k, v in request.headers.items() if k.lower() != "host"}
            reply = session.request(
                request.method, str(request.url), data=request.read() or None, headers=headers
            )
            # requests has unpacked it.
            kept = {
                k: v
                for k, v in reply.headers.items()
                if k.lower() not in ("content-encoding", "content-length", "transfer-encoding")
            }
            return httpx2.Response(reply.status_code, headers=kept, content=reply.content)

    return httpx2.Client(transport=Transport(), follow_redirects=False, trust_env=False)


def _reply(reply: requests.Response) -> Reply:
    return Reply(reply.status_code, reply.headers, reply.content)


def _no_retries() -> Any:
    from urllib3.util import Retry

    return Retry(total=0)
