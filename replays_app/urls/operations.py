"""Overview, retention and erasure. Health and metrics are answered by replays_app.middleware."""

from django.urls import URLPattern, path

from replays_app.views import overview

project = [path("", overview.overview, name="project")]
site: list[URLPattern] = []
