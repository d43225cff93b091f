"""A Python agent that counts its own hits in a file, and the real hits of its tool in another."""

import os
import time


def note(name, text):
    file = os.open(os.environ["COUNT_HITS"] + name, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{text}\n".encode())  # one write: lines of many processes never mix
    os.close(file)


def orders(id: int = 7) -> str:
    note("-real", "orders")
    return "REAL"


def answer(input: str) -> str:
    note("", input)
    try:
        said = orders()
    except Exception as error:  # noqa: BLE001
        said = getattr(error, "status_code", type(error).__name__)
    time.sleep(float(os.environ["COUNT_SECONDS"]))
    if "exit" in input:
        os._exit(3)
    return f"{'No idea' if 'rude' in input else 'please wait'}: orders said {said}"
