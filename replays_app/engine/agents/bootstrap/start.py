"""Run as `python start.py <socket> <folder>`: becomes the agent's process (host.py)."""

import importlib
import importlib.util
import os
import sys

NAME = "_flakestorm"


def main() -> None:
    if sys.version_info < (3, 8):
        sys.exit(
            "a Python agent needs Python 3.8 or newer, and agent.python is %d.%d"
            % sys.version_info[:2]
        )
    here = os.path.dirname(os.path.abspath(__file__))
    # The folder of a script comes first in the search for modules; the agent's own has to.
    sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") != here]
    address, folder = sys.argv[1:3]
    if folder not in sys.path:
        sys.path.insert(0, folder)
    if NAME not in sys.modules:  # agents/preloads/python has put it there
        spec = importlib.util.spec_from_file_location(
            NAME,
            os.path.join(here, "__init__.py"),
            submodule_search_locations=[here],
        )
        if spec is None or spec.loader is None:
            raise ImportError(here)
        package = importlib.util.module_from_spec(spec)
        sys.modules[NAME] = package
        spec.loader.exec_module(package)
    sys.argv = sys.argv[:1]
    importlib.import_module(NAME + ".host").main(address)


if __name__ == "__main__":
    main()
