"""Sources, and imports that a worker makes."""

from django.urls import URLPattern, path

from replays_app.views import receipts, sources, trace_imports

project: list[URLPattern] = [
    path("sources/", sources.source_list, name="sources"),
    path("sources/new/", sources.new, name="source-new"),
    path("sources/<int:pk>/", sources.source_page, name="source"),
    path("sources/<int:pk>/edit/", sources.edit, name="source-edit"),
    path("sources/<int:pk>/import/", sources.take, name="source-import"),
    path("sources/<int:pk>/switch/", sources.switch, name="source-switch"),
    path("sources/<int:pk>/delete/", sources.delete, name="source-delete"),
    path("import/run/", trace_imports.run, name="import-run"),
    path("import/source/", trace_imports.take, name="import-source"),
    path("imports/<int:pk>/choose/", receipts.choose, name="import-choose"),
    path("imports/<int:pk>/cancel/", receipts.cancel, name="import-cancel"),
]
site: list[URLPattern] = []
