"""An agent that imports late: a module that is slow to import, or one that starts a thread."""

import os


def imports(input):
    import sys

    was_there = input in sys.modules
    __import__(input)
    return f"{os.getppid()} {was_there}"
