"""Bringing incidents in: form, upload, revisions, export."""

from django.urls import URLPattern, path

from replays_app.views import capture, exports, imports, receipts, revisions

project: list[URLPattern] = [  # below /p/<project>/
    path("incidents/new/", capture.new, name="incident-new"),
    path("incidents/new/check/", capture.check, name="incident-check"),
    path("incidents/export.zip", exports.export_zip, name="incidents-export"),
    path("incidents/<str:key>/edit/", revisions.edit, name="incident-edit"),
    path("incidents/<str:key>/edit/check/", revisions.check, name="incident-edit-check"),
    path("incidents/<str:key>/details/", revisions.details, name="incident-details"),
    path("incidents/<str:key>/revisions/", revisions.revisions, name="incident-revisions"),
    path(
        "incidents/<str:key>/revisions/<int:number>.yaml",
        revisions.export,
        name="incident-revision",
    ),
    path("import/", imports.upload, name="import"),
    path("imports/<int:pk>/", receipts.receipt, name="import-receipt"),
]
site: list[URLPattern] = []
