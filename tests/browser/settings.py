"""The tests' settings for a server that a browser opens: DEBUG is off, files come uncollected."""

from tests.settings import *  # noqa: F403

WHITENOISE_USE_FINDERS = True
