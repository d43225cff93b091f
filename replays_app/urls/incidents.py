"""Incidents and runs."""

from django.urls import path

from replays_app.views import home, incidents, runs, stubs, tool_settings, triage

project = [
    path("incidents/", incidents.incident_list, name="incidents"),
    path("incidents/<str:key>/", incidents.incident_page, name="incident"),
    path("incidents/<str:key>/export.yaml", incidents.export_yaml, name="incident-export"),
    path("incidents/<str:key>/replay/", triage.replay, name="incident-replay"),
    path("incidents/<str:key>/state/", triage.set_state, name="incident-state"),
    path("incidents/<str:key>/assign/", triage.assign, name="incident-assign"),
    path("incidents/<str:key>/comment/", triage.comment, name="incident-comment"),
    path("runs/<int:pk>/", runs.run_page, name="run"),
    path("runs/<int:pk>/attempts/<int:number>.json", runs.evidence_json, name="evidence"),
    path("runs/<int:pk>/stop/", runs.stop, name="run-stop"),
    path("runs/<int:pk>/again/", runs.again, name="run-again"),
    path("incidents/<str:key>/tools/", tool_settings.tools_page, name="incident-tools"),
    path("runs/<int:pk>/tool/", tool_settings.change, name="run-tool"),
    path("runs/<int:pk>/stub/", stubs.stub, name="run-stub"),
]
site = [path("", home.home, name="home")]
