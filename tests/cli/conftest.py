"""What tests of the command line need."""

import logging

import pytest


@pytest.fixture(autouse=True)
def logging_as_it_was():
    """A command that saves sets Django up, and so logs to the stream that its test captures, which
    is closed with the test: whatever logged later would say so in a traceback."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
