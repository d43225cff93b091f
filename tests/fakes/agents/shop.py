"""An agent of plain functions, in every mood. Standard library only, Python 3.8 or newer."""

import asyncio
import functools
import http.client
import os
import socket
import sys
import threading
import time
import urllib.request

HITS = []  # every real execution of a tool; a replay leaves it empty
SEEN = []  # what the process remembers of attempts


class OutOfStock(Exception):
    pass


class Rejected(Exception):
    def __init__(self, *, code):
        super().__init__(code)


def price(symbol, currency="EUR"):
    HITS.append("price")
    return "REAL"


async def stock(symbol):
    HITS.append("stock")
    return "REAL"


def traced(function):
    @functools.wraps(function)
    def inner(*args, **kwargs):
        return f"<{function(*args, **kwargs)}>"

    return inner


@traced
def wrapped(symbol):
    HITS.append("wrapped")
    return "REAL"


class Shop:
    def __init__(self, owner):
        self.owner = owner

    def refund(self, order):
        HITS.append("refund")
        return "REAL"


def pages(query):
    HITS.append("pages")
    yield "REAL"


def closure():
    base = 5

    def add(symbol):
        HITS.append("add")
        return f"REAL {base}"

    return add


add = closure()
FROM_REGISTRY = {"price": price}


def said(*parts):
    return " | ".join([*map(str, parts), f"hits {HITS}"])


# What is asked


def asks(input):
    return said(price(input), price(input, "USD"), FROM_REGISTRY["price"](symbol="B"))


async def asks_later(input):
    first, second = await asyncio.gather(stock(input), stock(symbol="B"))
    return {"output": said(first, second)}


def asks_with_a_loop_of_its_own(input):
    return said(asyncio.run(stock(input)))


def asks_in_threads(input):
    answers = {}

    def work(symbol):
        answers[symbol] = price(symbol)

    threads = [threading.Thread(target=work, args=(s,)) for s in (input, "B")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return said(answers[input], answers["B"])


def asks_everything(input):
    shop = Shop("me")
    return said(wrapped(input), shop.refund(7), *pages("q"), add("x"))


def tells_errors(input):
    told = []
    for name in input.split():
        try:
            told.append(str(price(name)))
        except Exception as error:  # noqa: BLE001
            kind = type(error)
            told.append(f"{kind.__module__}.{kind.__name__}: {error}")
    return " | ".join(told)


async def waits(input):
    limit = float(input)
    try:
        return await asyncio.wait_for(stock("A"), limit)
    except TimeoutError as error:
        return f"timed out: {type(error).__name__}"


async def waits_twice(input):
    async def both():
        return said(await stock("A"), await stock("B"))

    try:
        return await asyncio.wait_for(both(), float(input))
    except TimeoutError:
        return "timed out"


async def waits_in_a_block(input):
    try:
        async with asyncio.timeout(float(input)):
            return await stock("A")
    except TimeoutError as error:
        return f"timed out: {type(error).__name__}"


def tells_messages(messages):
    return " / ".join(f"{m['role']}: {m['content']}" for m in messages)


def tells_context(question, context=()):
    return f"{question} after {[turn['content'] for turn in context]}"


def needs_two(input, customer):
    return "never"


def streams(input):
    yield "one "
    yield input


async def streams_later(input):
    for word in ("two ", input):
        yield word


def tells_where(input):
    here = os.getcwd()  # noqa: PTH109
    return " | ".join([os.environ.get(input, "unset"), here, sys.executable])


def remembers(input):
    SEEN.append(input)
    return str(SEEN)


def forget():
    SEEN.clear()
    SEEN.append("reset")


async def forget_later():
    forget()


def cannot_forget():
    raise OSError("the cache is gone")


def nothing(input):
    return None


def an_object(input):
    return object.__new__(Shop)


def prints(input):
    print("to the log:", input)
    print("and this", file=sys.stderr)
    raise ValueError(f"no {input}")


# How it may end


def exits(input):
    sys.exit(3)


def ends_hard(input):
    os._exit(7)


def kills_itself(input):
    os.kill(os.getpid(), 9)


def loops(input):
    while True:
        pass


def sleeps_in_a_tool(input):
    price("A")
    while True:
        time.sleep(60)


def hogs(input):
    return str(len(bytearray(2 * 2**30)))


def closes_everything(input):
    os.closerange(0, 256)
    return "never"


def closes_its_output(input):
    sys.stdout.close()
    sys.stderr.close()
    return "still here"


def answers_too_much(input):
    return "x" * (6 * 2**20)


def leaves_a_child(input):
    if os.fork() == 0:
        while True:
            time.sleep(60)
    return "left one"


def calls_after_its_answer(input):
    """In the thread that outlives the answer."""
    return "answered"


# What it reaches beside its tools


def reaches(input):
    try:
        if input.startswith("direct"):
            host, port = input.split()[1:]
            http.client.HTTPConnection(host, int(port), timeout=5).request("GET", "/")
            return "reached"
        if input.startswith("socket"):
            socket.create_connection(input.split()[1:], timeout=5).close()
            return "reached"
        return urllib.request.urlopen(input, timeout=5).read().decode()
    except OSError as error:
        return f"{type(error).__name__}: {error}"
