"""What runs inside a Python agent's own process: standard library only, Python 3.8 or newer.

`start.py` is run by the agent's interpreter, and loads this package under a name of its own, so
that nothing of ours can hide a module of the agent's, and the agent's environment needs nothing of
ours. The tape stays with the worker: each tool call is one question over a Unix socket.
"""
