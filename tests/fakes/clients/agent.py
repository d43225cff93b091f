"""An agent that answers each POST with what its four calls brought: `PORT CLIENT HTTP HTTPS`."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from python import ask_all, four_calls  # beside this file

port, client, plain, secure = sys.argv[1:]


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        answer = " | ".join(ask_all(client, four_calls(plain, secure)))
        body = json.dumps({"output": answer}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Quiet."""


ThreadingHTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()
