"""Ordinary HTTP clients of Python, with nothing of ours: `python python.py CLIENT HTTP HTTPS`.

Makes the four calls of `four_calls` with one client and prints the answers as JSON; or, `CLIENT
late URL SECONDS…`, one call for each time limit. No client is told of a proxy, a certificate or
the gateway.
"""

import asyncio
import http.client
import json
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit


def four_calls(plain, secure):
    """Three tools, one of them twice; the last two calls are made at once."""
    return [
        ("POST", f"{secure}/search", {"q": "one"}),
        ("POST", f"{secure}/search", {"q": "two"}),
        ("GET", f"{plain}/quote/ACME", None),
        ("GET", f"{secure}/news?topic=ACME", None),
    ]


class OfHttpClient:
    """Keeps its connections, one for each host."""

    def __init__(self, timeout):
        self.timeout = timeout
        self.kept = {}

    def __call__(self, method, url, body):
        parts = urlsplit(url)
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        at = parts.scheme, parts.netloc
        connection = self.kept.pop(at, None) or kind(parts.netloc, timeout=self.timeout)
        connection.request(
            method,
            parts.path + (f"?{parts.query}" if parts.query else ""),
            json.dumps(body) if body else None,
            {"Content-Type": "application/json"},
        )
        text = connection.getresponse().read().decode()
        self.kept[at] = connection
        return text


def of_urllib(timeout):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(method, url, body):
        data = json.dumps(body).encode() if body else None
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(url, data, headers, method=method)
        with opener.open(request, timeout=timeout) as answer:
            return answer.read().decode()

    return ask


def of_pool(pool):
    def ask(method, url, body):
        data = json.dumps(body) if body else None
        answer = pool.request(method, url, body=data, headers={"Content-Type": "application/json"})
        return answer.data.decode()

    return ask


def of_urllib3(timeout):
    import urllib3

    return of_pool(urllib3.PoolManager(timeout=timeout, retries=False))


def of_urllib3_with_certifi(timeout):
    import certifi
    import urllib3

    limit = urllib3.Timeout(connect=3, read=timeout)
    return of_pool(urllib3.PoolManager(timeout=limit, ca_certs=certifi.where(), retries=False))


def of_requests(timeout, trust_env=True):
    import requests

    session = requests.Session()
    session.trust_env = trust_env
    limits = (3, timeout)
    return lambda method, url, body: session.request(method, url, json=body, timeout=limits).text


def of_requests_alone(timeout):
    return of_requests(timeout, trust_env=False)


def of_httpx(timeout, name="httpx", **how):
    module = __import__(name)
    client = module.Client(timeout=timeout, **how)
    return lambda method, url, body: client.request(method, url, json=body).text


def of_httpx_alone(timeout):
    return of_httpx(timeout, trust_env=False)


def of_httpx2(timeout):
    return of_httpx(timeout, "httpx2")


def of_httpx2_alone(timeout):
    return of_httpx(timeout, "httpx2", trust_env=False)


async def with_aiohttp(timeout, use, **how):
    import aiohttp

    limit = aiohttp.ClientTimeout(**(how or {"total": timeout}))
    async with aiohttp.ClientSession(timeout=limit) as session:

        async def ask(method, url, body):
            async with session.request(method, url, json=body) as answer:
                return await answer.text()

        return await use(ask)


async def with_aiohttp_sock_read(timeout, use):
    return await with_aiohttp(timeout, use, sock_read=timeout)


async def with_httpx(timeout, use, name="httpx", **how):
    module = __import__(name)
    async with module.AsyncClient(timeout=timeout, **how) as client:

        async def ask(method, url, body):
            return (await client.request(method, url, json=body)).text

        return await use(ask)


async def with_httpx_alone(timeout, use):
    return await with_httpx(timeout, use, trust_env=False)


async def with_httpx2(timeout, use):
    return await with_httpx(timeout, use, "httpx2")


async def with_httpx2_alone(timeout, use):
    return await with_httpx(timeout, use, "httpx2", trust_env=False)


async def with_streams(timeout, use):
    """asyncio's own, as a small library would use them."""

    async def ask(method, url, body):
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=secure or None)
        data = json.dumps(body) if body else ""
        query = f"?{parts.query}" if parts.query else ""
        writer.write(
            f"{method} {parts.path}{query} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            "Connection: close\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(data)}\r\n\r\n{data}".encode()
        )
        answer = await asyncio.wait_for(reader.read(), timeout)
        writer.close()
        return answer.partition(b"\r\n\r\n")[2].decode()

    return await use(ask)


SYNC = {
    "http.client": OfHttpClient,
    "urllib": of_urllib,
    "urllib3": of_urllib3,
    "urllib3 with certifi": of_urllib3_with_certifi,
    "requests": of_requests,
    "requests without environment": of_requests_alone,
    "httpx": of_httpx,
    "httpx without environment": of_httpx_alone,
    "httpx2": of_httpx2,
    "httpx2 without environment": of_httpx2_alone,
}
ASYNC = {
    "aiohttp": with_aiohttp,
    "aiohttp sock_read": with_aiohttp_sock_read,
    "async httpx": with_httpx,
    "async httpx without environment": with_httpx_alone,
    "async httpx2": with_httpx2,
    "async httpx2 without environment": with_httpx2_alone,
    "asyncio streams": with_streams,
}


# In environments that have these loops.
OTHER_LOOPS = {
    "aiohttp on uvloop": with_aiohttp,
    "async httpx without environment on uvloop": with_httpx_alone,
    "asyncio streams on uvloop": with_streams,
    "async httpx without environment on trio": with_httpx_alone,
}


def run_loop(client, use):
    """With the client of its name, on the loop of its name."""
    if client.endswith("trio"):
        import trio

        return trio.run(OTHER_LOOPS[client], 10, use)
    if client.endswith("uvloop"):
        import uvloop

        return uvloop.run(OTHER_LOOPS[client](10, use))
    return asyncio.run(ASYNC[client](10, use))


async def at_once(client, ask, calls):
    if not client.endswith("trio"):
        return list(await asyncio.gather(*(ask(*call) for call in calls)))
    import trio

    answers = [None] * len(calls)

    async def keep(number):
        answers[number] = await ask(*calls[number])

    async with trio.open_nursery() as nursery:
        for number in range(len(calls)):
            nursery.start_soon(keep, number)
    return answers


def ask_all(client, calls, timeout=10):
    if client in SYNC:
        ask = SYNC[client](timeout)
        first = [ask(*call) for call in calls[:-2]]
        with ThreadPoolExecutor(2) as threads:
            return first + list(threads.map(lambda call: ask(*call), calls[-2:]))

    async def use(ask):
        first = [await ask(*call) for call in calls[:-2]]
        return first + await at_once(client, ask, calls[-2:])

    return run_loop(client, use)


def late(client, url, timeout):
    """The class of what one call raises, or its answer; and the seconds that it took."""
    seconds = 0.0

    def timed(ask):
        nonlocal seconds
        began = time.monotonic()
        try:
            return ask("GET", url, None)
        finally:
            seconds = time.monotonic() - began

    async def use(ask):
        nonlocal seconds
        began = time.monotonic()
        try:
            return await ask("GET", url, None)
        finally:
            seconds = time.monotonic() - began

    try:
        if client in SYNC:
            said = timed(SYNC[client](timeout))
        else:
            said = asyncio.run(ASYNC[client](timeout, use))
    except Exception as error:  # noqa: BLE001 - whatever the client has
        kind = type(error)
        said = f"{kind.__module__}.{kind.__qualname__}"
    return [said, seconds]


if __name__ == "__main__":
    if sys.argv[2] == "late":
        client, url, *limits = sys.argv[1], *sys.argv[3:]
        print(json.dumps([late(client, url, float(limit)) for limit in limits]))
    else:
        print(json.dumps(ask_all(sys.argv[1], four_calls(*sys.argv[2:4]))))
