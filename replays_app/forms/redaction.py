"""What a project's recordings lose, as a person sets it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms

from replays_app.engine.redaction import RECOGNISERS, BadRules, Pattern, Rules
from replays_app.engine.redaction.rules import LONGEST_PATH, LONGEST_PATTERN, MOST
from replays_app.models import Incident

MAX_SAMPLE = 20_000  # characters that a preview reads
_LINES = MOST * (LONGEST_PATTERN + 60)


def _lines(label: str, help_text: str, longest: int) -> forms.CharField:
    area = forms.Textarea(attrs={"rows": 4, "spellcheck": "false"})
    return forms.CharField(
        label=label, required=False, max_length=longest, widget=area, help_text=help_text
    )


class RedactionForm(forms.Form):
    on = forms.MultipleChoiceField(
        label="What is looked for",
        required=False,
        choices=[(r.name, r.title) for r in RECOGNISERS],
        widget=forms.CheckboxSelectMultiple,
    )
    patterns = _lines(
        "Patterns of your own",
        "One a line, name = pattern, such as order id = ORD-[0-9]{6}. RE2; the first group is the "
        "value, or all of it.",
        _LINES,
    )
    paths = _lines(
        "Fields that are always replaced",
        "One a line, such as tool_responses[*].response.customer.name or context[*].content; * "
        "stands for every key or item.",
        MOST * (LONGEST_PATH + 2),
    )
    sample = _lines(
        "Text to try it on",
        "It is not stored. Text or JSON, such as an answer of one of your tools.",
        MAX_SAMPLE,
    )
    incident = forms.ChoiceField(
        label="Or a recording that is here",
        required=False,
        help_text="It was redacted already: what is found is what these rules would take too.",
    )

    def __init__(self, data: Any = None, *, incidents: Sequence[Incident] = (), **more: Any):
        super().__init__(data, **more)
        self.fields["incident"].choices = [
            ("", "none"),
            *((i.key, f"{i.key} {i.title[:60]}") for i in incidents),
        ]

    @classmethod
    def of(cls, rules: Rules, incidents: Sequence[Incident]) -> RedactionForm:
        return cls(
            incidents=incidents,
            initial={
                "on": [r.name for r in RECOGNISERS if r.name not in rules.off],
                "patterns": "\n".join(f"{p.name} = {p.pattern}" for p in rules.patterns),
                "paths": "\n".join(rules.paths),
            },
        )

    def clean_patterns(self) -> list[Pattern]:
        found = []
        for line in _of(self.cleaned_data["patterns"]):
            name, equals, pattern = line.partition("=")
            if not equals:
                raise forms.ValidationError(
                    f"“{line[:60]}” has no =. Write it like order id = ORD-[0-9]{{6}}."
                )
            found.append(Pattern(name.strip(), pattern.strip()))
        return found

    def clean_paths(self) -> list[str]:
        return _of(self.cleaned_data["paths"])

    @property
    def off(self) -> list[str]:
        return [r.name for r in RECOGNISERS if r.name not in self.cleaned_data["on"]]

    def rules(self) -> Rules:
        """Of a valid form. Raises BadRules."""
        said: dict[str, Any] = self.cleaned_data
        return Rules.from_value(
            {
                "off": self.off,
                "patterns": [{"name": p.name, "pattern": p.pattern} for p in said["patterns"]],
                "paths": said["paths"],
            }
        )


def _of(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


__all__ = ["BadRules", "RedactionForm"]
