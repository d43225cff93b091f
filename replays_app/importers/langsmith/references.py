"""What people paste for one run: its id, the address of its page, or a public share link."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from replays_app.importers.langsmith.errors import ImportProblem

# The pages of LangSmith's cloud and the API that each belongs to.
CLOUDS = {
    "smith.langchain.com": "https://api.smith.langchain.com",
    "eu.smith.langchain.com": "https://eu.api.smith.langchain.com",
    "aws.smith.langchain.com": "https://aws.api.smith.langchain.com",
    "apac.smith.langchain.com": "https://apac.api.smith.langchain.com",
}
LONGEST = 2_000  # characters
_RUN = re.compile(r"/r/([^/]+)/?$")
_PROJECT = re.compile(r"/projects/p/([^/]+)")
_PUBLIC = re.compile(r"/public/([^/]+)/r(?:/([^/]+))?/?$")
_PEEK = ("peek", "run_id", "runId")  # where newer pages keep the id of the run that is open


@dataclass(frozen=True, slots=True)
class Reference:
    """`share`: the token of a public link, whose `run` may be empty (its root)."""

    run: str = ""
    project: str = ""
    share: str = ""
    host: str = ""  # of a pasted address
    api: str = ""  # of the cloud that it belongs to; empty: not told


def read_reference(text: str) -> Reference:
    """Raises ImportProblem."""
    text = text.strip()
    if (run := uuid_of(text)) is not None:
        return Reference(run=run)
    if len(text) > LONGEST or "://" not in text:
        raise _unreadable(text)
    try:
        parts = urlsplit(text)
    except ValueError:
        raise _unreadable(text) from None
    host = (parts.hostname or "").lower()
    api = CLOUDS.get(host, "")
    if found := _PUBLIC.search(parts.path):
        token, run = uuid_of(found[1]), uuid_of(found[2] or "")
        if token is None or (found[2] and run is None):
            raise _unreadable(text)
        return Reference(run=run or "", share=token, host=host, api=api)
    query = parse_qs(parts.query)
    inside = _RUN.search(parts.path)
    candidates = [inside[1]] if inside else []
    candidates += [value for name in (*_PEEK, "trace_id") for value in query.get(name, ())]
    run = next((r for r in map(uuid_of, candidates) if r is not None), None)
    if run is None:
        raise _unreadable(text)
    project = _PROJECT.search(parts.path)
    inside_of = (uuid_of(project[1]) if project else None) or ""
    return Reference(run=run, project=inside_of, host=host, api=api)


def page_of(api: str, path: str) -> str:
    """The address of a page that `app_path` names, where the API is at `api`: in the cloud the
    pages have a host of their own, in one's own installation it is the same. Empty: no page."""
    if not path.startswith("/") or path.startswith("//"):
        return ""
    hosts = {url: f"https://{host}" for host, url in CLOUDS.items()}
    parts = urlsplit(api)
    return hosts.get(api, f"{parts.scheme}://{parts.netloc}") + path


def uuid_of(text: str) -> str | None:
    """In its usual form; None: it is none."""
    try:
        return str(uuid.UUID(text)) if 32 <= len(text) <= 36 else None
    except ValueError:
        return None


def _unreadable(text: str) -> ImportProblem:
    shown = text if len(text) <= 80 else f"{text[:79]}…"
    return ImportProblem(
        f"{shown!r} is no run of LangSmith.",
        "Give a run's id (32 hexadecimal digits, with hyphens), or paste the address of its page "
        "or of its public share link.",
    )


def has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:  # half of an IPv6 address; a port that is no number
        return False
