"""An agent in the manner of the documented incident, standard library only.

    python cli_agent.py --port P --mode MODE [--tools URL] [--seen FILE]

It asks two tools at URL and writes what its HTTP client saw of each into FILE. `buggy` invents a
figure when they fail, `fixed` says so; the other modes misbehave as their names say.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

MODES = (
    "buggy",
    "fixed",
    "flaky",
    "echo",
    "slow-second",
    "fails",
    "crashes",
    "control",
    "other-tool",
)


def seen_of(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=60) as response:
            return f"{response.status} {response.read().decode()}"
    except urllib.error.HTTPError as error:
        return str(error.code)
    except (OSError, urllib.error.URLError) as error:
        return f"dropped: {getattr(error, 'reason', error)}"


class Agent(BaseHTTPRequestHandler):
    options: argparse.Namespace
    answered = 0

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, answer = self.answer(body["input"])
        content = json.dumps({"output": answer}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def answer(self, asked: str) -> tuple[int, Any]:
        match self.options.mode:
            case "echo":
                return 200, f"According to you: {asked}"
            case "slow-second":
                Agent.answered += 1
                if Agent.answered > 1:
                    time.sleep(20)
                return 200, "Source: none"
            case "fails":
                return 500, "internal"
            case "crashes":
                sys.stderr.write("Fatal: out of beans\n")
                sys.stderr.flush()
                os._exit(3)
            case "control":
                return 200, "According to \x1b[31mred\x00\u202ereversed ]]> <script>"
            case "flaky":
                Agent.answered += 1
                return 200, "Source: none" if Agent.answered % 2 else "It was $4.2 million"
        return 200, self.revenue()

    def revenue(self) -> str:
        tools = self.options.tools
        if self.options.mode == "other-tool":
            return f"Source: {seen_of(f'{tools}/weather')}"
        seen = {
            "market_data_api": seen_of(f"{tools}/v1/revenue?company=ACME&quarter=Q3"),
            "web_search": seen_of(f"{tools}/search?q=ACME+Q3+revenue"),
        }
        if self.options.seen:
            with Path(self.options.seen).open("a") as file:
                file.write(json.dumps(seen) + "\n")
        if self.options.mode == "buggy":
            return "According to our data, ACME's Q3 revenue was $4.2 million."
        return "The revenue is not available: source market_data_api did not answer."


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--mode", choices=MODES, required=True)
    parser.add_argument("--tools", default="")
    parser.add_argument("--seen")
    Agent.options = parser.parse_args()
    ThreadingHTTPServer(("127.0.0.1", Agent.options.port), Agent).serve_forever()


if __name__ == "__main__":
    main()
