"""The product's settings with the few values that a test run must supply itself."""

import os
import tempfile

os.environ.setdefault("FLAKESTORM_SECRET_KEY", "tests-only-" + "0" * 40)
os.environ.setdefault("FLAKESTORM_DATA", tempfile.mkdtemp(prefix="flakestorm-tests-"))

from flakestorm_web.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
