"""An agent of the standard library that does what its input says.

    python moody.py PORT [--no-reuse]

`pid`, `env NAME`, `cwd`, `run`, `resets`, `print TEXT`, `500`, `crash` (half an answer, then exit
code 3), `close`, `hang`; anything else is echoed. POST /reset counts.
"""

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Server(ThreadingHTTPServer):
    allow_reuse_address = "--no-reuse" not in sys.argv
    request_queue_size = 64
    resets = 0


class Agent(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.answer("ready")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/reset":
            self.server.resets += 1
            self.answer("reset")
            return
        word, _, rest = str(json.loads(body)["input"]).partition(" ")
        match word:
            case "pid":
                self.answer(str(os.getpid()))
            case "env":
                self.answer(os.environ.get(rest, "(unset)"))
            case "cwd":
                self.answer(str(Path.cwd()))
            case "resets":
                self.answer(str(self.server.resets))
            case "run":
                self.answer(self.headers.get("x-flakestorm-run", ""))
            case "print":
                print(rest, flush=True)
                self.answer("printed")
            case "500":
                print("about to fail", file=sys.stderr, flush=True)
                self.answer("trace", status=500)
            case "crash":
                print("Traceback: it crashed", file=sys.stderr, flush=True)
                self.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Length: 99\r\n\r\nhalf")
                self.wfile.flush()
                os._exit(3)
            case "close":
                self.close_connection = True
            case "hang":
                threading.Event().wait()
            case _:
                self.answer(f"{word} {rest}".strip())

    def answer(self, text: str, status: int = 200) -> None:
        body = json.dumps({"output": text}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    Server(("127.0.0.1", int(sys.argv[1])), Agent).serve_forever()
