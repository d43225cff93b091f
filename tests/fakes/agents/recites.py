"""An agent that makes the calls which its script names for the input, and says what came back.

    python recites.py PORT SCRIPT TOOLS_URL

SCRIPT: a JSON file, `{input: [{tool, args}]}`. Each call is a POST of the arguments to its tool: at
FLAKESTORM_TOOL_URL where that is set, else at TOOLS_URL, which is where the real tools are. The
answer is a JSON list of `[HTTP status, text]`; 0 for a connection that failed.
"""

import http.client
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

SCRIPT = json.loads(Path(sys.argv[2]).read_text())


def ask(tool: str, args: object) -> tuple[int, str]:
    base = os.environ.get("FLAKESTORM_TOOL_URL") or sys.argv[3]
    headers = {"Content-Type": "application/json"}
    request = Request(f"{base}/{quote(tool)}", json.dumps(args).encode(), headers)
    try:
        with urlopen(request) as response:
            return response.status, response.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()
    except (OSError, http.client.HTTPException):
        return 0, ""


class Agent(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["input"]
        said = [ask(call["tool"], call["args"]) for call in SCRIPT[asked]]
        body = json.dumps({"output": json.dumps(said)}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Agent).serve_forever()
