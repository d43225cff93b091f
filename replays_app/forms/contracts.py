"""What people may ask of contracts. A form checks shape; the rest is the services' word."""

from __future__ import annotations

from typing import Any

from django import forms

from replays_app.models import Incident, Project
from replays_app.templatetags.shown import plain

MAX_TEXT = 200_000  # characters; contracts have a few thousand


class TextForm(forms.Form):
    """The editor. The text is kept to the character; only line ends become the usual ones.

    `check`, `try` and `look` are its other buttons: they change nothing.
    """

    text = forms.CharField(
        strip=False,
        max_length=MAX_TEXT,
        label="Contract",
        widget=forms.Textarea,
        error_messages={"required": "Write the contract first."},
    )
    base = forms.IntegerField(required=False, min_value=1, max_value=2**31 - 1, label="Revision")

    def clean_text(self) -> str:
        return lines_of(self.cleaned_data["text"])

    @property
    def typed(self) -> str:
        """As it came, whatever is wrong with it."""
        return lines_of(str(self["text"].value() or ""))


def lines_of(text: str) -> str:
    """Browsers send a text area's line ends as CR LF."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


class ContractForm(forms.Form):
    """The contract that an incident is judged by."""

    contract = forms.TypedChoiceField(
        coerce=int, error_messages={"invalid_choice": "This project has no such contract."}
    )

    def __init__(self, data: Any = None, *, project: Project, **more: Any) -> None:
        super().__init__(data, **more)
        known = project.contracts.exclude(current=None).order_by("name")
        self.choices = [(pk, plain(name)[:100]) for pk, name in known.values_list("pk", "name")]
        self.fields["contract"].choices = self.choices


class TargetsForm(forms.Form):
    """The checks whose failure is the incident; none is an answer, too."""

    target_checks = forms.MultipleChoiceField(
        required=False, widget=forms.CheckboxSelectMultiple, label="Target checks"
    )

    def __init__(self, data: Any = None, *, incident: Incident, **more: Any) -> None:
        super().__init__(data, **more)
        body = incident.contract.current.body if incident.contract else {}
        ids = [i.get("id") for i in body.get("invariants", [])]
        self.fields["target_checks"].choices = [(i, i) for i in ids]
