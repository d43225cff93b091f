"""One trace by Langfuse's public API, bounded in size and time."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from urllib.parse import parse_qs, quote, urlsplit

import requests

from replays_app.engine.hosts import AllowedHosts, HostRefused
from replays_app.engine.values import Json
from replays_app.importers.http import MAX_ANSWER, Session, TooLarge
from replays_app.importers.langsmith.errors import ImportProblem

TIMEOUT = (4.0, 8.0)  # seconds: to connect, and between two bytes of an answer
WITHIN = 20.0  # seconds, all requests together
PAGE = 100  # observations
MAX_PAGES = 50
LONGEST = 2_000  # characters of a reference
_TRACE = re.compile(r"/(?:traces?|sessions/[^/]+/traces)/([^/]+)/?$")
_ID = re.compile(r"[A-Za-z0-9._:-]{1,200}")


@dataclass(frozen=True, slots=True)
class Reference:
    url: str  # of the installation
    trace: str


def read_reference(text: str) -> Reference:
    """The address of a trace's page, as it is copied from the browser. Raises ImportProblem."""
    text = text.strip()
    problem = ImportProblem(
        "That is no address of a trace at Langfuse.",
        "Copy it from the trace's page: https://cloud.langfuse.com/project/…/traces/….",
    )
    if len(text) > LONGEST:
        raise problem
    try:
        parts = urlsplit(text)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        raise problem from None
    inside = _TRACE.search(parts.path)
    peeked = parse_qs(parts.query).get("peek", [""])
    trace = inside[1] if inside else peeked[0]
    if parts.scheme not in ("http", "https") or not host or not _ID.fullmatch(trace):
        raise problem
    return Reference(f"{parts.scheme}://{host}", trace)


class Connection:
    """`hosts`: where it may connect; None: anywhere. Everything raises ImportProblem."""

    def __init__(
        self, url: str, public_key: str, secret_key: str, *, hosts: AllowedHosts | None
    ) -> None:
        self._url = url.rstrip("/")
        self._where = f"Langfuse at {urlsplit(url).hostname}"
        self._session = Session(hosts, timeout=TIMEOUT)
        self._session.auth = (public_key, secret_key)
        self._until = time.monotonic() + WITHIN

    def trace(self, trace_id: str) -> list[Json]:
        """What the trace says of itself, then its observations."""
        found = self._get(f"/api/public/traces/{quote(trace_id, safe='')}")
        if not isinstance(found, dict) or found.get("id") != trace_id:
            raise self._unexpected("no trace")
        held = found.pop("observations", None)
        rows = held if isinstance(held, list) and all(isinstance(o, dict) for o in held) else None
        about = {**found, "url": self._page_of(found)}
        return [about, *(self._observations(trace_id) if rows is None else rows)]

    def _page_of(self, found: dict[str, Json]) -> str:
        path = found.get("htmlPath")
        return self._url + path if isinstance(path, str) and path.startswith("/") else ""

    def _observations(self, trace_id: str) -> list[Json]:
        """Where a trace comes with the ids of its observations only."""
        rows: list[Json] = []
        for page in range(1, MAX_PAGES + 1):
            query = {"traceId": trace_id, "page": str(page), "limit": str(PAGE)}
            found = self._get("/api/public/observations", query)
            data = found.get("data") if isinstance(found, dict) else None
            if not isinstance(data, list):
                raise self._unexpected("no observations")
            rows += data
            if len(data) < PAGE:
                return rows
        raise ImportProblem(
            f"The trace has more than {MAX_PAGES * PAGE:,} observations.",
            "Export it in Langfuse, and upload the part that is wanted.",
        )

    def _get(self, path: str, query: dict[str, str] | None = None) -> Json:
        if time.monotonic() > self._until:
            raise ImportProblem(
                f"{self._where} did not send the trace within {WITHIN:.0f} s.",
                "Export it there, and upload the file.",
            )
        try:
            reply = self._session.request("GET", self._url + path, params=query)
        except TooLarge:
            raise ImportProblem(
                f"{self._where} sent more than {MAX_ANSWER // 2**20} MB at once.",
                "Export the trace there, and upload the part that is wanted.",
            ) from None
        except (requests.RequestException, OSError) as error:
            raise self._unreachable(error) from None
        return self._json(reply)

    def _json(self, reply: requests.Response) -> Json:
        if reply.status_code != 200:
            raise self._status(reply.status_code)
        try:
            value: Json = json.loads(reply.content)
        except (ValueError, RecursionError):
            raise ImportProblem(
                f"{self._where} answered with something else than JSON.",
                "See that the address is Langfuse's, and that no login page is in between.",
            ) from None
        return value

    def _status(self, status: int) -> ImportProblem:
        where = self._where
        if status in (401, 403):
            return ImportProblem(
                f"{where} does not take the keys ({status}).",
                "Take both from the settings of the project that has the trace.",
            )
        if status == 404:
            return ImportProblem(
                f"{where} does not have the trace (404).",
                "See that the keys are of the project that has it, and that it was not deleted.",
            )
        if status == 429:
            return ImportProblem(f"{where} is asked too often (429).", "Try again in a minute.")
        if 300 <= status < 400:
            return ImportProblem(
                f"{where} leads to another address ({status}).",
                "Give that address, if it is the right one; redirects are not followed.",
            )
        if status >= 500:
            return ImportProblem(f"{where} has a fault of its own ({status}).", "Try again later.")
        return ImportProblem(f"{where} refuses the request ({status}).", "Look at the address.")

    def _unreachable(self, error: Exception) -> ImportProblem:
        refused = _refused(error)
        if refused is not None:
            return ImportProblem(f"{refused.saw[:1].upper()}{refused.saw[1:]}.", refused.remedy)
        if isinstance(error, requests.Timeout | TimeoutError):
            return ImportProblem(f"{self._where} did not answer in time.", "Try again later.")
        return ImportProblem(
            f"{self._where} cannot be reached, or cut the connection.",
            "See that the address is right and that this machine may connect to it.",
        )

    def _unexpected(self, what: str) -> ImportProblem:
        return ImportProblem(
            f"{self._where} answered in a form that is not known here: {what}.",
            "See that the address is Langfuse's; if it is, please report this.",
        )


def _refused(error: BaseException | None) -> HostRefused | None:
    """What our own check said, however deep the libraries packed it."""
    for _ in range(10):
        if error is None or isinstance(error, HostRefused):
            return error
        inner = [a for a in error.args if isinstance(a, BaseException)]
        reason = getattr(error, "reason", None)
        inner += [reason] if isinstance(reason, BaseException) else []
        error = error.__cause__ or (inner[0] if inner else error.__context__)
    return None
