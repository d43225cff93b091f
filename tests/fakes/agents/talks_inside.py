"""A Python agent whose tools are plain functions, and whose model is found by what SDKs read."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from tests.fakes.plain_agent import Agent


def search(q):
    return "really search"


def quote(symbol):
    return "really quote"


def news(topic):
    return "really news"


class Talks(Agent):
    def tool(self, name, args):
        return f"<{globals()[name](**args)}>"


def answer(question):
    url = os.environ["OPENAI_BASE_URL"].removesuffix("/v1")
    return Talks(url, "chat", stream=True).ask(question)
