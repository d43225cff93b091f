"""The `flakestorm` command: the engine on a terminal, without a database unless --save."""

# The same as pyproject.toml's (a test holds it). Reading package metadata would cost 50 ms of
# every start.
VERSION = "0.1.0"
