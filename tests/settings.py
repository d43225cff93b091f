"""The product's settings with the few values that a test run must supply itself."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_data = Path(tempfile.mkdtemp(prefix="flakestorm-tests-"))
atexit.register(shutil.rmtree, _data, ignore_errors=True)

os.environ.setdefault("FLAKESTORM_SECRET_KEY", "tests-only-" + "0" * 40)
os.environ.setdefault("FLAKESTORM_DATA", str(_data))
os.environ["FLAKESTORM_AGENT_HOSTS"] = "127.0.0.1, localhost, agents.example.com, *.allowed.example"
os.environ["FLAKESTORM_SOURCE_HOSTS"] = (
    "127.0.0.1, api.smith.langchain.com, eu.api.smith.langchain.com, cloud.langfuse.com"
)
for _name in ("LANGSMITH_API_KEY", "LANGSMITH_ENDPOINT", "LANGSMITH_WORKSPACE_ID"):
    os.environ.pop(_name, None)
os.environ.pop("FLAKESTORM_AGENTS", None)  # a test names its own file

from flakestorm_web.settings import *  # noqa: E402, F403
from flakestorm_web.settings import DATABASES, ENV, STORAGES  # noqa: E402

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# No manifest, as a test does not collect static files first; and a folder of its own, as a test
# that starts the whole product collects into the project's while others read there.
STATIC_ROOT = _data / "static"
STATIC_ROOT.mkdir(exist_ok=True)
STORAGES |= {
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

if ENV.is_sqlite:
    # A file, as in real life: an in-memory database has other locks, and no second process sees it.
    DATABASES["default"]["TEST"] = {"NAME": str(_data / "tests.sqlite3")}
