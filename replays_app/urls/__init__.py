"""Every page's address, an area a file. An area that adds fixed words below `incidents/` comes
before the incident's own key."""

from django.urls import include, path

from replays_app.urls import (
    agents,
    capture,
    ci,
    contracts,
    inbox,
    incidents,
    operations,
    people,
    sources,
)

AREAS = (capture, sources, inbox, contracts, agents, people, ci, operations, incidents)

urlpatterns = [
    *(pattern for area in AREAS for pattern in area.site),
    path("p/<slug:slug>/", include([p for area in AREAS for p in area.project])),
]
