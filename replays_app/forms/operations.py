"""Retention and erasure: what cannot be undone is confirmed in the form itself."""

from __future__ import annotations

from django import forms

from replays_app.services.erasure import MAX_TITLE, MAX_WHY
from replays_app.services.retention import LEAST, MOST

_SURE = "Tick the box: what is erased cannot be brought back."


class RetentionForm(forms.Form):
    days = forms.IntegerField(
        required=False,
        min_value=LEAST,
        max_value=MOST,
        label="Days",
        error_messages={"invalid": "Days is a whole number, or empty to keep everything."},
    )
    sure = forms.BooleanField(required=False, label="Erase what is older now")


class EraseForm(forms.Form):
    why = forms.CharField(
        max_length=MAX_WHY,
        label="Why",
        error_messages={"required": "Say why: it stays as the tombstone."},
    )
    sure = forms.BooleanField(
        label="I know that this cannot be undone", error_messages={"required": _SURE}
    )


class EraseRecordingForm(EraseForm):
    title = forms.CharField(max_length=MAX_TITLE, label="Title from now on")
    with_answers = forms.BooleanField(
        required=False, initial=True, label="Also the answers and calls of all its replays"
    )

    field_order = ("title", "why", "with_answers", "sure")
