"""How the tools of a recording are replayed."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote

from django import forms

from replays_app.engine.tool_settings import MATCH, ON_MISS, TOOL_MATCH, Tool
from replays_app.services.sessions import MAX_NOTE
from replays_app.services.tool_settings import MAX_NAME
from replays_app.templatetags.shown import plain

AS_THE_AGENT = ("", "as the agent says")
_ENCODED = 12  # characters that one becomes at most, percent-encoded in UTF-8
_WHY = MAX_NOTE // 2  # what was chosen stands behind it


class _Change(forms.Form):
    base = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=2**31 - 1,
        label="Revision",
        widget=forms.HiddenInput,
    )
    why = forms.CharField(required=False, max_length=_WHY, label="Why")


class RecordingMatchForm(_Change):
    """How calls of all tools find their record."""

    match = forms.ChoiceField(
        required=False,
        label="Calls of all tools",
        choices=[AS_THE_AGENT, *((k, f"{k}: {words}") for k, words in MATCH.items())],
    )


class ToolForm(_Change):
    """Of one tool. Arguments that were seen are chosen; `more` names another one. The names of the
    tool and of what was seen are percent-encoded: an agent chose them."""

    tool = forms.CharField(max_length=MAX_NAME * _ENCODED, strip=False, widget=forms.HiddenInput)
    on_miss = forms.ChoiceField(required=False, label="A call without a recorded answer")
    match = forms.ChoiceField(
        required=False,
        label="Arguments that differ",
        choices=[AS_THE_AGENT, *((k, f"{k}: {words}") for k, words in TOOL_MATCH.items())],
    )
    ignore = forms.MultipleChoiceField(
        required=False,
        label="Arguments that do not matter",
        error_messages={
            "invalid_choice": "One was not seen in the recording; write it as another argument."
        },
    )
    more = forms.CharField(required=False, max_length=MAX_NAME, label="Another argument")

    def __init__(self, data: Any = None, *, of: Tool, **more: Any) -> None:
        super().__init__(data, **more)
        self.of = of
        names = [*of.args, *(n for n in of.ignore_args if n not in of.args)]
        self.fields["ignore"].choices = [(encoded(name), plain(name)) for name in names]
        self.fields["on_miss"].choices = [
            AS_THE_AGENT,
            *((k, f"{k}: {words}") for k, words in ON_MISS.items() if k != "stub" or of.has_stub),
        ]

    @classmethod
    def now(cls, tool: Tool, base: int, number: int) -> ToolForm:
        """As it is set; `number` keeps the forms of one page apart."""
        initial = {
            "tool": encoded(tool.name),
            "base": base,
            "on_miss": tool.on_miss or "",
            "match": tool.match or "",
            "ignore": [encoded(name) for name in tool.ignore_args],
        }
        return cls(of=tool, initial=initial, auto_id=f"id_{number}_%s")

    def clean_tool(self) -> str:
        return unquote(self.cleaned_data["tool"])

    def clean_ignore(self) -> list[str]:
        return [unquote(name) for name in self.cleaned_data["ignore"]]

    @property
    def ignored(self) -> list[str]:
        """Raises KeyError for a form that is not valid."""
        more = self.cleaned_data["more"]
        return [*self.cleaned_data["ignore"], *([more] if more else [])]

    @property
    def choices(self) -> list[tuple[str, str, bool]]:
        """Value, name and whether it is chosen, of every argument that was seen."""
        chosen = set(self["ignore"].value() or ())
        values = [value for value, _ in self.fields["ignore"].choices]
        return [(value, unquote(value), value in chosen) for value in values]


def encoded(name: str) -> str:
    return quote(name, safe="", errors="replace")


class CallForm(forms.Form):
    """One call of one attempt, and what is to be done about it."""

    attempt = forms.IntegerField(min_value=1, max_value=2**31 - 1)
    call = forms.IntegerField(min_value=1, max_value=2**31 - 1)
    do = forms.ChoiceField(choices=[("ignore", "ignore"), ("last", "last")])
    # Percent-encoded: an agent chose the name, and a page holds no character of it as it is.
    argument = forms.CharField(required=False, strip=False, max_length=100_000)

    def clean_argument(self) -> str:
        return unquote(self.cleaned_data["argument"])
