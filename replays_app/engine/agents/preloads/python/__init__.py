"""On the search path of agents that are written in Python; only `sitecustomize` may be in here."""
