"""An agent whose tools are called in processes that it starts. Standard library only.

Every real execution of a tool leaves a file, `hit`, in the folder of the module.
"""

import concurrent.futures
import functools
import multiprocessing
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent


def lookup(key):
    (HERE / "hit").touch()
    return "REAL"


def asks(input):
    """The input is how processes are made."""
    context = multiprocessing.get_context(input)
    with context.Pool(2) as pool:
        return " | ".join([lookup("here"), *pool.map(lookup, ["A", "B"])])


def asks_an_executor(input):
    context = multiprocessing.get_context(input)
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        return " | ".join([lookup("here"), *pool.map(lookup, ["A", "B"])])


def asks_a_program(input):
    program = "import parts; print(parts.lookup('here'), parts.lookup('A'), parts.lookup('B'))"
    command = [sys.executable, "-c", program]
    told = subprocess.run(command, cwd=HERE, stdout=subprocess.PIPE, check=True, text=True)
    return told.stdout.strip().replace(" ", " | ")


def comes_back_twice(input):
    told = lookup("here")
    return f"{told} of the fork" if os.fork() == 0 else told


def reaches(url):
    try:
        return urllib.request.urlopen(url).read().decode()
    except OSError as error:
        return f"{type(error).__name__}: {error}"


def reaches_from_a_fork(input):
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.map(functools.partial(reaches), [input])[0]


def leaves_a_caller(input):
    """The first attempt leaves a process that calls a tool in the second."""
    over, told = HERE / "over", HERE / "told"
    if input == "first":
        if os.fork() == 0:
            os.setsid()
            while not over.exists():
                time.sleep(0.001)
            try:
                said = lookup("late")
            except RuntimeError as error:
                said = type(error).__name__
            (HERE / "telling").write_text(said)
            (HERE / "telling").rename(told)
        return "left"
    over.touch()
    while not told.exists():
        time.sleep(0.001)
    return told.read_text()
