"""The inbox of traces, and the door through which they come."""

from django.urls import path

from replays_app.api import otlp
from replays_app.views import inbox

project = [
    path("inbox/", inbox.trace_list, name="inbox"),
    path("inbox/dismiss/", inbox.dismiss_many, name="inbox-dismiss"),
    path("inbox/<int:pk>/", inbox.trace_page, name="trace"),
    path("inbox/<int:pk>/incident/", inbox.make, name="trace-incident"),
    path("inbox/<int:pk>/dismiss/", inbox.dismiss, name="trace-dismiss"),
    path("inbox/<int:pk>/reread/", inbox.reread, name="trace-reread"),
    path("import/langfuse/", inbox.fetch, name="import-langfuse"),
]
site = [path("v1/traces", otlp.export, name="otlp-traces")]
