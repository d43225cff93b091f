"""An agent that starts a thread when it is imported."""

import os
import threading

SEEN = []
threading.Thread(target=threading.Event().wait, daemon=True).start()


def remembers(input):
    SEEN.append(input)
    return f"{os.getpid()} {SEEN}"


def forget():
    SEEN.clear()
