"""Python runs this at the start of each process of an agent: clients.py is put in place.

Whatever goes wrong here is said, and the agent runs without it. Every Python has to read this file,
also one that is too old for what it does.
"""

import os
import sys

_here = os.path.dirname(os.path.abspath(__file__))
_parts = os.path.join(os.path.dirname(os.path.dirname(_here)), "bootstrap")

if sys.version_info >= (3, 8) and os.environ.get("FLAKESTORM_CLIENTS"):
    try:
        from importlib._bootstrap import module_from_spec
        from importlib._bootstrap_external import spec_from_file_location

        _spec = spec_from_file_location(
            "_flakestorm", os.path.join(_parts, "__init__.py"), submodule_search_locations=[_parts]
        )
        sys.modules["_flakestorm"] = module_from_spec(_spec)
        from _flakestorm import leading

        leading.begin(os.environ["FLAKESTORM_CLIENTS"])
        if os.environ.get("FLAKESTORM_HOOKS"):  # what a Python agent has started
            from _flakestorm import joining

            joining.begin(os.environ["FLAKESTORM_HOOKS"])
    except Exception as _error:
        sys.stderr.write(
            "flakestorm: %s: %s; in process %d, Python clients that ignore the proxy variables go "
            "past the gateway\n" % (type(_error).__name__, _error, os.getpid())
        )

# Ours hides a `sitecustomize` of the agent's own environment, which is to run as well.
sys.path[:] = [path for path in sys.path if not path or os.path.abspath(path) != _here]
_ours = sys.modules.pop("sitecustomize", None)
try:
    import sitecustomize  # noqa: F401
except ImportError as _error:
    if getattr(_error, "name", "sitecustomize") != "sitecustomize":
        raise
    if _ours is not None:
        sys.modules["sitecustomize"] = _ours
