"""An agent with three local functions, whose model is found by what SDKs read from the environment.

    python talks.py PORT API stream|whole

Its functions really run, and write to the file FUNCTIONS_RAN. A `?` in the question has it answer
with its environment.
"""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import httpx

from tests.fakes.plain_agent import Agent as Loop

PORT, API, STREAM = int(sys.argv[1]), sys.argv[2], sys.argv[3] == "stream"
KEYS = {"messages": ("x-api-key", "ANTHROPIC_API_KEY", "")}


def base_url() -> str:
    if API == "messages":
        return os.environ["ANTHROPIC_BASE_URL"]
    return os.environ["OPENAI_BASE_URL"].removesuffix("/v1")


class Counting(Loop):
    def tool(self, name, args):
        if path := os.environ.get("FUNCTIONS_RAN"):
            with Path(path).open("a") as ran:
                ran.write(f"{name}\n")
        return super().tool(name, args)


def answer(question: str) -> str:
    if question == "?":
        names = ("FLAKESTORM_LLM_URL", "OPENAI_BASE_URL", "ANTHROPIC_BASE_URL")
        keys = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "HTTP_PROXY")
        return json.dumps({name: os.environ.get(name) for name in (*names, *keys)})
    header, name, word = KEYS.get(API, ("authorization", "OPENAI_API_KEY", "Bearer "))
    headers = {header: word + os.environ[name]} if name in os.environ else {}
    try:
        return Counting(base_url(), API, stream=STREAM, **headers).ask(question)
    except httpx.HTTPStatusError as error:
        return f"HTTP {error.response.status_code}: {error.response.text}"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        said = json.dumps({"output": answer(body["input"])}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
