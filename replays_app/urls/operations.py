"""Overview, retention and erasure. Health and metrics are answered by replays_app.middleware."""

from django.urls import URLPattern, path

from replays_app.views import erasing, overview, redaction

project = [
    path("", overview.overview, name="project"),
    path("settings/retention/", erasing.retention_page, name="retention"),
    path("settings/redaction/", redaction.redaction_page, name="redaction"),
    path("runs/<int:pk>/erase/", erasing.erase_run, name="run-erase"),
    path("incidents/<str:key>/erase/", erasing.erase_incident, name="incident-erase"),
]
site: list[URLPattern] = []
