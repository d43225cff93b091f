"""Agents, versions, deployments, secrets, connection checks."""

from django.urls import URLPattern, path

from replays_app.views import agent_editor, agents, connection, secrets, triage

project = [
    path("agents/", agents.agent_list, name="agents"),
    path("agents/new/", agent_editor.new, name="agent-new"),
    path("agents/check-text/", agent_editor.check_text, name="agent-check-text"),
    path("agents/<int:pk>/", agents.agent_page, name="agent"),
    path("agents/<int:pk>/edit/", agent_editor.edit, name="agent-edit"),
    path("agents/<int:pk>/register/", agents.register, name="agent-register"),
    path("agents/<int:pk>/deploy/", agents.deploy, name="agent-deploy"),
    path("agents/<int:pk>/check/", agents.check, name="agent-check"),
    path("agents/<int:pk>/checks/<int:check>/", connection.check_page, name="connection-check"),
    path("settings/secrets/", secrets.secrets_page, name="secrets"),
    path("settings/secrets/delete/", secrets.delete, name="secret-delete"),
    path("incidents/<str:key>/agent/", triage.set_agent, name="incident-agent"),
]
site: list[URLPattern] = []
