"""An agent that counts its own hits in a file, standard library only.

    python counting_agent.py --port P --hits FILE [--seconds S]

It appends the input to FILE as soon as it is asked, asks the tool `orders` at FLAKESTORM_TOOL_URL,
takes S seconds, and is rude when the input says so.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Agent(BaseHTTPRequestHandler):
    options: argparse.Namespace

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["input"]
        file = os.open(self.options.hits, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, f"{asked}\n".encode())  # one write: lines of many processes never mix
        os.close(file)
        seen = tool_status()
        time.sleep(self.options.seconds)
        polite = "rude" not in asked
        answer = f"{'please wait' if polite else 'No idea'}: orders said {seen}"
        body = json.dumps({"output": answer}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def tool_status() -> int:
    try:
        with urllib.request.urlopen(f"{os.environ['FLAKESTORM_TOOL_URL']}/orders") as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--hits", required=True)
    parser.add_argument("--seconds", type=float, default=0.0)
    Agent.options = parser.parse_args()
    ThreadingHTTPServer(("127.0.0.1", Agent.options.port), Agent).serve_forever()
