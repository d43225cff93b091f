"""A small finance agent to try replays on. Python's standard library only.

    python finance_agent.py --port 9000 --version v1

POST /invoke {"input": "What was ACME Corp's Q3 revenue?"} answers {"output": "…"}. It asks two
tools over HTTP: `market_data_api` first, `web_search` when that fails. Its language model is
scripted, so that it costs nothing and answers the same every time.

v1 has the fault of the incident: when no tool answers, its "model" makes a figure up.
v2 says that it does not know, and what it tried.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import ssl
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MARKET_DATA = "https://market-data.example/v1/revenue"
WEB_SEARCH = "http://search.example/search"
TOOL_TIMEOUT = 60.0  # seconds

# Every request honours HTTP_PROXY, HTTPS_PROXY and SSL_CERT_FILE, as urllib does by itself.
TLS = ssl.create_default_context()


@dataclass
class Found:
    """What the tools said: a figure with its source, or why there is none."""

    figure: str = ""
    source: str = ""
    failures: tuple[str, ...] = ()


class ToolFailed(Exception):
    pass


def get_json(url: str, params: dict[str, str]) -> object:
    request = f"{url}?{urllib.parse.urlencode(params)}"
    try:
        with urllib.request.urlopen(request, timeout=TOOL_TIMEOUT, context=TLS) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise ToolFailed(f"answered HTTP {error.code}") from error
    except ValueError as error:
        raise ToolFailed("answered something that is not JSON") from error
    except (OSError, http.client.HTTPException) as error:
        raise ToolFailed("dropped the connection") from error


def market_data_api(company: str, quarter: str) -> Found:
    data = get_json(MARKET_DATA, {"company": company, "quarter": quarter})
    if not isinstance(data, dict) or "revenue_usd_millions" not in data:
        raise ToolFailed("knows no figure")
    return Found(f"${data['revenue_usd_millions']:,} million", "the market data API")


def web_search(company: str, quarter: str) -> Found:
    data = get_json(WEB_SEARCH, {"q": f"{company} {quarter} revenue"})
    results = data.get("results", []) if isinstance(data, dict) else []
    for result in results:
        figure = re.search(r"\$[\d.,]+ (?:million|billion)", str(result.get("snippet", "")))
        if figure:
            return Found(figure[0], str(result.get("url", "the web")))
    raise ToolFailed("found nothing")


TOOLS: tuple[tuple[str, Callable[[str, str], Found]], ...] = (
    ("market_data_api", market_data_api),
    ("web_search", web_search),
)


def research(company: str, quarter: str) -> Found:
    failures = []
    for name, tool in TOOLS:
        try:
            return tool(company, quarter)
        except ToolFailed as failed:
            failures.append(f"{name} {failed}")
    return Found(failures=tuple(failures))


def write_answer(version: str, company: str, quarter: str, found: Found) -> str:
    """The scripted model. With nothing to go by, v1 goes on in the tone of its examples."""
    if found.figure:
        return f"{company}'s {quarter} revenue was {found.figure}, according to {found.source}."
    if version == "v1":
        return (
            f"{company}'s {quarter} revenue was $4.2 million, up 12% on the quarter before, "
            "driven by strong demand in its core segment."
        )
    return (
        f"I could not find {company}'s {quarter} revenue, so I will not give a figure. "
        f"Sources tried: {'; '.join(found.failures)}. Please ask again later."
    )


def answer(version: str, question: str) -> str:
    asked = re.search(r"([A-Z][\w&.-]*)(?: Corp)?(?:'s)?\s+(Q[1-4])", question)
    if not asked:
        return "I answer questions such as: What was ACME Corp's Q3 revenue?"
    company, quarter = asked.groups()
    name = f"{company} Corp" if f"{company} Corp" in question else company
    return write_answer(version, name, quarter, research(company, quarter))


class Handler(BaseHTTPRequestHandler):
    version = ""  # set by main

    def do_GET(self) -> None:
        self.reply(200, {"status": "ok"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            question = str(json.loads(body)["input"])
        except (ValueError, KeyError, TypeError):
            self.reply(400, {"error": 'POST a JSON object such as {"input": "a question"}'})
            return
        self.reply(200, {"output": answer(self.version, question)})

    def reply(self, status: int, value: dict[str, str]) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Agent-Version", self.version)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silent: a replay shows what the agent did."""


def main() -> None:
    parser = argparse.ArgumentParser(description="A small finance agent to try replays on.")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument(
        "--version", choices=["v1", "v2"], default=os.environ.get("AGENT_VERSION", "v2")
    )
    options = parser.parse_args()
    if options.version not in {"v1", "v2"}:
        sys.exit(f"AGENT_VERSION is {options.version!r}, must be v1 or v2")
    Handler.version = options.version
    ThreadingHTTPServer(("127.0.0.1", options.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
