"""Reports a failure from an agent's own error handler. Standard library only: copy it.

    recording = Recording()
    look_up = recording.tool(market_data)   # hand this to the agent in the tool's place
    try:
        answer = agent(question, tools=[look_up])
    except Exception as error:
        report_incident(question, recording, failure=f"The agent broke: {error}")
        raise

FLAKESTORM_URL and FLAKESTORM_TOKEN (an API token with the scope write) say where to.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import json
import logging
import os
import time
import urllib.error
import urllib.request

# The agent's user waits, too.
TIMEOUT_S = float(os.environ.get("FLAKESTORM_TIMEOUT_S", "3"))
log = logging.getLogger("flakestorm")


class Recording:
    """What the tools of one run answered, in the order of the calls."""

    def __init__(self):
        self.calls = []

    def tool(self, function):
        """The same function, sync or async, which notes what it was asked and what it gave."""

        @functools.wraps(function)
        def call(*args, **kwargs):
            with self._noted(function, args, kwargs) as entry:
                result = function(*args, **kwargs)
                entry["response"] = _plain(result)  # as it is now: the agent may change it
                return result

        @functools.wraps(function)
        async def call_async(*args, **kwargs):
            with self._noted(function, args, kwargs) as entry:
                result = await function(*args, **kwargs)
                entry["response"] = _plain(result)
                return result

        return call_async if inspect.iscoroutinefunction(function) else call

    @contextlib.contextmanager
    def _noted(self, function, args, kwargs):
        entry = {"tool": function.__name__, "args": _plain(_named(function, args, kwargs))}
        self.calls.append(entry)
        began = time.monotonic()
        try:
            yield entry
        except Exception as error:
            entry["error"] = f"{type(error).__name__}: {error}"
            raise
        finally:
            entry["latency_ms"] = round((time.monotonic() - began) * 1000, 3)


def report_incident(question, recording=None, *, answer=None, failure="", **fields):
    """The address of the incident, or None. Never raises, and waits for `TIMEOUT_S` at most."""
    why = ""
    try:
        session = {"input": question, "recorded_output": answer, "expected_failure": failure}
        session |= {"tool_responses": recording.calls if recording else [], **fields}
        session = {name: value for name, value in session.items() if value not in (None, "", [])}
        request = urllib.request.Request(
            os.environ["FLAKESTORM_URL"].rstrip("/") + "/api/v1/incidents",
            json.dumps(session, default=str).encode(),
            {
                "Authorization": f"Bearer {os.environ['FLAKESTORM_TOKEN']}",
                "Content-Type": "application/json",
            },
        )
        with _opener.open(request, timeout=TIMEOUT_S) as response:
            return json.loads(response.read(1_000_000))["url"]
    except urllib.error.HTTPError as error:
        why = f"flakestorm took no report: {error.code} {_said(error)}"
    except Exception as error:  # noqa: BLE001 - the agent has a failure to handle already
        # Without its text: that of a malformed header has the token in it.
        why = f"flakestorm got no report: {type(error).__name__}"
    # Out here, where a log handler that breaks has no error at hand to print with its own.
    log.warning("%s", why)
    return None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """urllib would hand the token on to wherever it is sent."""

    def redirect_request(self, *args):
        return None


_opener = urllib.request.build_opener(_NoRedirects)


def _named(function, args, kwargs):
    """The arguments by their names."""
    try:
        return inspect.signature(function).bind(*args, **kwargs).arguments
    except (TypeError, ValueError):  # not what it takes, which it says itself; or written in C
        return {"args": args, **kwargs}


def _plain(value):
    """As JSON holds it; what it has no word for as text."""
    try:
        return json.loads(json.dumps(value, default=str))
    except Exception:  # noqa: BLE001 - whatever an object's own code raises
        return f"<{type(value).__name__}>"


def _said(error):
    try:
        said = json.loads(error.read(100_000))
        return f"{said['message']} {said.get('remedy', '')}".strip()[:500]
    except Exception:  # noqa: BLE001 - a proxy may have answered
        return ""


if __name__ == "__main__":  # an agent whose tool is down, and that makes a figure up

    def market_data(company):
        raise TimeoutError("no answer within 30 s")

    logging.basicConfig()
    recording = Recording()
    with contextlib.suppress(TimeoutError):
        recording.tool(market_data)("ACME")
    url = report_incident(
        "What was ACME's revenue in Q3?",
        recording,
        answer="ACME's revenue in Q3 was $4.2 million.",
        failure="The agent made up a figure",
    )
    print(url or "not reported")
