"""The API's addresses: whoever is imported here has registered its own."""

from __future__ import annotations

from replays_app.api import incidents, status
from replays_app.api.root import api

__all__ = ["URLS", "incidents", "status"]

URLS = api.urls
for _pattern in URLS[0]:
    _pattern.callback.login_required = False  # tokens and links take the place of a login
