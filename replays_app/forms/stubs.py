"""What a stub answers."""

from __future__ import annotations

import json
from typing import Any

from django import forms

from replays_app.engine.values import Json
from replays_app.forms.capture import MAX_BYTES


class StubForm(forms.Form):
    """`response` is JSON where it reads as such, else text."""

    attempt = forms.IntegerField(widget=forms.HiddenInput, min_value=1)
    call = forms.IntegerField(widget=forms.HiddenInput, min_value=1)
    response = forms.CharField(
        label="Answer",
        required=False,
        strip=False,
        max_length=MAX_BYTES,
        widget=forms.Textarea(attrs={"rows": 8}),
        help_text="JSON, or any other text as it is. Empty: an empty answer.",
    )
    status = forms.IntegerField(
        label="HTTP status",
        required=False,
        min_value=0,
        max_value=599,
        help_text="200 unless you say so; 0: the connection fails.",
    )

    def clean_response(self) -> Json:
        text: str = self.cleaned_data["response"].replace("\r\n", "\n")
        if not text:
            return None
        try:
            return json.loads(text, parse_constant=_no_json)
        except (ValueError, RecursionError):
            return text

    @staticmethod
    def written(response: Json) -> str:
        """How an answer stands in the field, so that it reads back equal."""
        if response is None:
            return ""
        if isinstance(response, str) and not _reads_as_json(response):
            return response
        return json.dumps(response, indent=2, ensure_ascii=False)


def _reads_as_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _no_json(name: str) -> Any:
    raise ValueError(name)
