"""The inbox: what is shown of it, and what a trace becomes."""

from __future__ import annotations

from typing import Any

from django import forms

from replays_app.forms.capture import AgentChoice
from replays_app.importers.readers import READERS
from replays_app.models import Project


class InboxForm(forms.Form):
    """The list's filters; they live in the URL."""

    failed = forms.BooleanField(required=False)
    kind = forms.ChoiceField(
        required=False, choices=[("", "any source"), *((kind, kind) for kind in sorted(READERS))]
    )

    @property
    def wanted(self) -> dict[str, Any]:
        """Those that could be read and are set."""
        self.is_valid()
        return {k: v for k, v in self.cleaned_data.items() if v}


class TraceIncidentForm(forms.Form):
    """Whose failure the trace is, and what judges it; neither is an answer, too."""

    agent = AgentChoice(
        label="Agent", error_messages={"invalid_choice": "This project has no such agent."}
    )
    contract = forms.ModelChoiceField(
        queryset=None,
        required=False,
        label="Contract",
        error_messages={"invalid_choice": "This project has no such contract."},
    )

    def __init__(self, data: Any = None, *, project: Project) -> None:
        super().__init__(data)
        AgentChoice.fill(self, project)
        field = self.fields["contract"]
        known = project.contracts.exclude(current=None).order_by("name")
        field.queryset = known
        field.empty_label = known[0].name if len(known) == 1 else "none yet"


class LangfuseForm(forms.Form):
    """One trace. The keys are asked for each time, and kept nowhere."""

    address = forms.CharField(
        label="Trace",
        max_length=2_000,
        widget=forms.TextInput(attrs={"autocomplete": "off", "inputmode": "url"}),
        help_text="The address of its page.",
        error_messages={"required": "Paste the address of the trace's page."},
    )
    public_key = forms.CharField(
        label="Public key",
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="Of the project, pk-lf-…",
    )
    secret_key = forms.CharField(
        label="Secret key",
        max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="Used for this once, and kept nowhere.",
    )

    def __init__(self, data: Any = None) -> None:
        super().__init__(data, auto_id="langfuse_%s")
