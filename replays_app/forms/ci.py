"""Hooks of CI, and what is done to several incidents at once."""

from __future__ import annotations

from typing import Any

from django import forms

from replays_app.models import Project
from replays_app.services.hooks import MAX_NAME
from replays_app.templatetags.shown import plain


class HookForm(forms.Form):
    name = forms.CharField(
        max_length=MAX_NAME,
        help_text="Which caller it is for, such as the repository and branch.",
        error_messages={"required": "Say what it is for."},
    )
    agent = forms.TypedChoiceField(
        coerce=int,
        help_text="Deliveries replay incidents of this agent only.",
        error_messages={"required": "Choose an agent.", "invalid_choice": "Choose one of these."},
    )

    def __init__(self, data: Any = None, *, project: Project) -> None:
        super().__init__(data)
        agents = project.agents.filter(retired_at=None).order_by("name").values_list("pk", "name")
        self.fields["agent"].choices = [(pk, plain(name)) for pk, name in agents]
        self.has_agents = bool(self.fields["agent"].choices)
