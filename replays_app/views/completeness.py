"""What came in with an incident's recording, and what was lost: the receipt on its page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from replays_app.engine.values import Json
from replays_app.importers import wording
from replays_app.importers.readers import READERS
from replays_app.models import Incident, Trace
from replays_app.queries.trace import traces_of
from replays_app.services import sessions
from replays_app.services.traces import IMPORTER

_WEB = ("https://", "http://")


@dataclass(frozen=True, slots=True)
class CameIn:
    headline: str
    is_full: bool
    facts: list[str]
    unread: list[str]  # shapes that no rule reads
    redactions: str
    link: str  # where people look at the source; only what a browser may open
    trace: Trace | None  # the raw trace, as long as it is kept
    is_from_trace: bool


def show(incident: Incident) -> CameIn | None:
    """None: the recording was erased, and what is known of it with it."""
    if incident.session.current.body is None:
        return None
    receipt = sessions.receipt(incident.session.current)
    trace = traces_of(incident).first()
    return CameIn(
        headline=wording.headline(receipt),
        is_full=receipt.get("completeness") == "full",
        facts=wording.facts(receipt),
        unread=wording.unread(receipt),
        redactions=wording.redactions(receipt.get("redactions")),
        link=_link(receipt, trace),
        trace=trace,
        is_from_trace=receipt.get(IMPORTER) in READERS,
    )


def _link(receipt: Mapping[str, Json], trace: Trace | None) -> str:
    links = (receipt.get("link"), trace.link if trace else "")
    return next((link for link in links if isinstance(link, str) and link.startswith(_WEB)), "")
