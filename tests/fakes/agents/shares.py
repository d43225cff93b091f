"""One agent process for many questions at once, which hands a header on with its tools' calls.

    python shares.py PORT HEADER [together]

The input is words: tools, and last what they are asked for. `https:tool` calls one by TLS,
`url:tool` by FLAKESTORM_TOOL_URL, the others by the proxy of the environment; `bare:tool` hands
nothing on. HEADER `none`: nothing is handed on at all. `together`: two questions wait for each
other before their calls, and after them.
"""

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

PAIR = threading.Barrier(2)


def call(word: str, asked: str, handed_on: dict[str, str]) -> str:
    way, _, tool = word.rpartition(":")
    url = f"http://{tool}.tools.example/ask"
    if way == "https":
        url = f"https://{tool}.tools.example/ask"
    elif way == "url":
        url = f"{os.environ['FLAKESTORM_TOOL_URL']}/{tool}"
    try:
        request = Request(f"{url}?q={quote(asked)}", headers={} if way == "bare" else handed_on)
        with urlopen(request) as response:
            return response.read().decode()
    except HTTPError as error:
        return f"HTTP {error.code}"
    except OSError:
        return "dropped"


class Agent(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        *words, asked = body["input"].split()
        name = sys.argv[2]
        handed_on = {} if name == "none" else {name: self.headers[name]}
        if "together" in sys.argv:
            PAIR.wait(20)
        said = " | ".join(call(word, asked, handed_on) for word in words)
        if "together" in sys.argv:
            PAIR.wait(20)
        answer = json.dumps({"output": said}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128


if __name__ == "__main__":
    Server(("127.0.0.1", int(sys.argv[1])), Agent).serve_forever()
