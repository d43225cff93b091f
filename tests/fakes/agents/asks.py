"""An agent that calls the tools which its input names, and answers with what they said.

    python asks.py PORT CLIENT      input: tool names and one word that the tools are asked for

Client: `urllib` (the standard library, by proxy), `tool_url` (http.client, by FLAKESTORM_TOOL_URL),
`urllib3` (with its default retries), `once_more` (urllib, which asks again after a 504, once).
A tool's failure reads `HTTP 504` or `dropped` in the answer.
"""

import http.client
import json
import os
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit
from urllib.request import urlopen

URL = "http://{tool}.tools.example/ask?q={word}"


def by_urllib(tool: str, word: str) -> str:
    try:
        with urlopen(URL.format(tool=tool, word=quote(word))) as response:
            return response.read().decode()
    except HTTPError as error:
        return f"HTTP {error.code}"
    except (OSError, http.client.HTTPException):
        return "dropped"


def by_tool_url(tool: str, word: str) -> str:
    base = urlsplit(os.environ["FLAKESTORM_TOOL_URL"])
    connection = http.client.HTTPConnection(base.netloc)
    try:
        connection.request("GET", f"{base.path}/{tool}?q={quote(word)}")
        response = connection.getresponse()
        text = response.read().decode()
        return text if response.status == 200 else f"HTTP {response.status}"
    except (OSError, http.client.HTTPException):
        return "dropped"
    finally:
        connection.close()


def by_urllib3(tool: str, word: str) -> str:
    import urllib3

    pool = urllib3.ProxyManager(os.environ["HTTP_PROXY"])
    try:
        response = pool.request("GET", URL.format(tool=tool, word=quote(word)))
    except urllib3.exceptions.HTTPError:
        return "dropped"
    return response.data.decode() if response.status == 200 else f"HTTP {response.status}"


def once_more(tool: str, word: str) -> str:
    text = by_urllib(tool, word)
    return by_urllib(tool, word) if text == "HTTP 504" else text


CLIENTS: dict[str, Callable[[str, str], str]] = {
    "urllib": by_urllib,
    "tool_url": by_tool_url,
    "urllib3": by_urllib3,
    "once_more": once_more,
}


class Agent(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        *tools, word = body["input"].split()
        said = " | ".join(CLIENTS[sys.argv[2]](tool, word) for tool in tools)
        answer = json.dumps({"output": f"{word}: {said}"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Agent)
    server.serve_forever()
