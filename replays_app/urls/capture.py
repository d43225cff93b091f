"""Bringing incidents in: form, upload, revisions, export."""

from django.urls import URLPattern, path

from replays_app.views import capture, imports

project: list[URLPattern] = [  # below /p/<project>/
    path("incidents/new/", capture.new, name="incident-new"),
    path("incidents/new/check/", capture.check, name="incident-check"),
    path("import/", imports.upload, name="import"),
    path("imports/<int:pk>/", imports.receipt, name="import-receipt"),
]
site: list[URLPattern] = []
