"""The replay engine: plain Python that takes values and gives values.

It imports no Django, RQ or Redis client; chance and time come in as arguments.
"""
