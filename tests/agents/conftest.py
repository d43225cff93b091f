"""Agents of other people's frameworks, each in an environment of its own: `make test-agents`."""

import os

if not os.environ.get("FLAKESTORM_TEST_AGENTS"):
    collect_ignore_glob = ["test_*.py"]
