"""Hooks of CI, and what is done to several incidents at once."""

from __future__ import annotations

from typing import Any

from django import forms

from replays_app.models import Incident, Project
from replays_app.services.hooks import MAX_NAME
from replays_app.services.tags import MAX_TAG
from replays_app.templatetags.shown import plain

MOST_ATTEMPTS = 100  # of each incident of a batch


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


class BulkForm(forms.Form):
    """What to do (`do`, the button that was pressed) with the incidents of the chosen rows."""

    do = forms.ChoiceField(
        choices=[(name, name) for name in ("replay", "state", "owner", "tag", "untag", "contract")],
        error_messages={"required": "Press one of the buttons."},
    )
    state = forms.ChoiceField(required=False, choices=Incident.State.choices)
    owner = forms.CharField(required=False, max_length=200)
    tag = forms.CharField(required=False, max_length=MAX_TAG)
    contract = forms.IntegerField(required=False, min_value=1, max_value=2**31 - 1)


class BatchForm(forms.Form):
    """`versions`: (id, label) of the agents of the chosen incidents."""

    version = forms.TypedChoiceField(
        coerce=int,
        error_messages={
            "required": "Choose a version.",
            "invalid_choice": "Choose one of these versions.",
        },
    )
    attempts = forms.IntegerField(
        min_value=1,
        max_value=MOST_ATTEMPTS,
        initial=1,
        help_text="Of each incident that is not fixed. A fixed one is a guard: 5, and after a "
        "failure up to 30.",
    )
    strict = forms.BooleanField(
        required=False,
        label="Strict: a fixed incident that fails at all is a result",
    )

    def __init__(self, data: Any = None, *, versions: list[tuple[int, str]]) -> None:
        super().__init__(data)
        self.fields["version"].choices = versions
