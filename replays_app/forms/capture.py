"""Bringing recordings in: uploads, the form of an incident, and edits of both."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django import forms

from replays_app.engine.formats.errors import FormatError, Problem
from replays_app.engine.formats.loading import MAX_BYTES, load_documents
from replays_app.engine.values import Json
from replays_app.forms.contracts import lines_of
from replays_app.models import Incident, Project
from replays_app.services.incidents import MAX_TITLE
from replays_app.services.sessions import MAX_ID, MAX_NOTE

MAX_ROWS = 200  # of turns and of calls; a longer recording is better written as YAML


class SeveralFiles(forms.ClearableFileInput):
    allow_multiple_selected = True


class FilesField(forms.FileField):
    """One file or many, as a list."""

    widget = SeveralFiles

    def clean(self, data: Any, initial: Any = None) -> list[Any]:
        files = data if isinstance(data, list | tuple) and data else [data or None]
        return [super(FilesField, self).clean(file, initial) for file in files]


class AgentChoice(forms.ModelChoiceField):
    """The agents that a new incident can belong to; none is an answer, too."""

    def __init__(self, **more: Any) -> None:
        super().__init__(queryset=None, required=False, **more)

    @staticmethod
    def fill(form: forms.Form, project: Project) -> None:
        field = form.fields["agent"]
        known = project.agents.filter(retired_at=None).order_by("name")
        field.queryset = known
        # Without a choice the project's only agent is taken.
        field.empty_label = known[0].name if len(known) == 1 else "none yet"


class ImportForm(forms.Form):
    files = FilesField(
        label="Files",
        allow_empty_file=True,
        max_length=None,
        help_text="YAML or JSON replay files, traces as JSON, or a zip of a directory of them. "
        "20 MB in all, 5 MB a file.",
        error_messages={"required": "Choose at least one file."},
    )
    agent = AgentChoice(label="Agent", help_text="Of the incidents that are new.")
    save_contracts = forms.BooleanField(
        required=False,
        label="Save contracts that come along",
        help_text="Each becomes the current revision of its name, for all incidents that use it.",
    )

    def __init__(self, data: Any = None, files: Any = None, *, project: Project) -> None:
        super().__init__(data, files)
        self.fields["files"].widget.attrs["accept"] = ".yaml,.yml,.json,.jsonl,.zip"
        AgentChoice.fill(self, project)


def _text(label: str, rows: int = 3, **more: Any) -> forms.CharField:
    """Kept to the character; only line ends become the usual ones."""
    area = forms.Textarea(attrs={"rows": rows})
    return forms.CharField(label=label, strip=False, max_length=MAX_BYTES, widget=area, **more)


class TagsField(forms.CharField):
    """Words between commas, as a list."""

    def clean(self, value: Any) -> list[str]:
        return words_of(super().clean(value))


def words_of(text: str) -> list[str]:
    return [word for word in (part.strip() for part in text.split(",")) if word]


class AboutForm(forms.Form):
    """What people say of a new incident, however its recording is written."""

    title = forms.CharField(required=False, max_length=MAX_TITLE)
    severity = forms.ChoiceField(choices=Incident.Severity.choices, initial="medium")
    agent = AgentChoice()
    tags = TagsField(required=False, max_length=2_000, help_text="Words between commas.")

    def __init__(self, data: Any = None, *, project: Project, **more: Any) -> None:
        super().__init__(data, **more)
        AgentChoice.fill(self, project)


class YamlForm(AboutForm):
    """`text` is a whole replay file; an empty title is taken from it."""

    text = _text(
        "Recording", rows=24, error_messages={"required": "Write or paste the recording first."}
    )

    def clean_text(self) -> str:
        return lines_of(self.cleaned_data["text"])

    @property
    def typed(self) -> str:
        """As it came, whatever is wrong with it."""
        return lines_of(str(self["text"].value() or ""))


class RecordingForm(AboutForm):
    """A recording field by field; its turns and calls are the rows beside it."""

    title = forms.CharField(
        max_length=MAX_TITLE,
        error_messages={"required": "Say in a few words what went wrong."},
    )
    contract = forms.ModelChoiceField(
        queryset=None,
        empty_label=None,
        error_messages={
            "required": "Choose the contract that the answer broke. A project without one needs "
            "a contract first.",
            "invalid_choice": "This project has no such contract.",
        },
    )
    session_id = forms.CharField(
        required=False,
        max_length=MAX_ID,
        label="Session id",
        help_text="Its name in files and for the command line. Empty: one is made.",
    )
    agent_version = forms.CharField(required=False, max_length=100, label="Agent version")
    input = _text("Input", error_messages={"required": "Write what the agent was asked."})
    recorded_output = _text("Recorded answer", required=False)
    expected_failure = _text("What is wrong with it", rows=2, required=False)

    def __init__(self, data: Any = None, *, project: Project, **more: Any) -> None:
        super().__init__(data, project=project, **more)
        known = project.contracts.exclude(current=None).order_by("name")
        self.fields["contract"].queryset = known

    def clean_input(self) -> str:
        if not self.cleaned_data["input"].strip():
            raise forms.ValidationError(self.fields["input"].error_messages["required"])
        return self.cleaned_data["input"]


class TurnForm(forms.Form):
    role = forms.CharField(max_length=50, error_messages={"required": "Say whose words they are."})
    content = _text("Text", rows=2, error_messages={"required": "Write what was said."})


class CallForm(forms.Form):
    tool = forms.CharField(
        max_length=200, strip=False, error_messages={"required": "Name the tool that was called."}
    )
    args = _text("Arguments", rows=2, required=False)
    status = forms.IntegerField(required=False, max_value=10**6, min_value=-(10**6))
    latency_ms = forms.FloatField(required=False, min_value=0, label="Took (ms)")
    response = _text("Response", rows=2, required=False)
    error = forms.CharField(required=False, max_length=20_000)

    def clean_args(self) -> Json:
        text = lines_of(self.cleaned_data["args"]).strip()
        if not text:
            return None
        try:
            documents = load_documents(text.encode("utf-8", "surrogatepass"), source="")
        except FormatError as error:
            raise forms.ValidationError(str(error)) from None
        if len(documents) != 1 or not isinstance(documents[0].value, dict):
            raise forms.ValidationError('Write a mapping, such as {"q": "ACME"}.')
        return documents[0].value

    def clean_response(self) -> Json:
        """A JSON object or list is one; anything else is text as it stands, and nothing no body."""
        text = lines_of(self.cleaned_data["response"])
        if text.lstrip()[:1] in ("{", "["):
            try:
                return load_documents(text.encode("utf-8", "surrogatepass"), source="x.json")[
                    0
                ].value
            except FormatError:
                return text
        return text or None


_ROWS = {"extra": 0, "max_num": MAX_ROWS, "absolute_max": MAX_ROWS, "validate_max": True}
TurnRows = forms.formset_factory(TurnForm, **_ROWS)
CallRows = forms.formset_factory(CallForm, **_ROWS)
_PLACE = re.compile(r"(context|tool_responses)\[(\d+)\]\.?(\w*)")


class Report:
    """The whole form: the recording, its turns and its calls. Rows that are empty are left out."""

    def __init__(self, data: Any = None, *, project: Project) -> None:
        self.form = RecordingForm(data, project=project)
        first = {"turns": 1, "calls": 2}
        if data is None:
            data = {f"{k}-{t}": n for k, n in first.items() for t in ("TOTAL_FORMS",)}
            data |= {f"{k}-INITIAL_FORMS": 0 for k in first}
        self.turns = TurnRows(data, prefix="turns")
        self.calls = CallRows(data, prefix="calls")

    @staticmethod
    def with_row(data: Any, which: str) -> Any:
        """What was sent, with one empty row more."""
        data = data.copy()
        total = str(data.get(f"{which}-TOTAL_FORMS", ""))
        rows = int(total) if total.isdecimal() and len(total) < 6 else 0
        data[f"{which}-TOTAL_FORMS"] = str(min(rows + 1, MAX_ROWS))
        data.setdefault(f"{which}-INITIAL_FORMS", "0")
        return data

    def is_valid(self) -> bool:
        return all([self.form.is_valid(), self.turns.is_valid(), self.calls.is_valid()])

    @property
    def parts(self) -> Iterator[tuple[str, forms.BaseForm]]:
        yield "", self.form
        yield from ((f"Turn {i}: ", f) for i, f in enumerate(self.turns.forms, 1))
        yield from ((f"Call {i}: ", f) for i, f in enumerate(self.calls.forms, 1))

    @property
    def errors(self) -> list[tuple[str, str, str]]:
        """(field, its id, what is wrong), for the summary."""
        found = [("", "", e) for rows in (self.turns, self.calls) for e in rows.non_form_errors()]
        for prefix, form in self.parts:
            found += [("", "", error) for error in form.non_field_errors()]
            for bound in form:
                words = f"{prefix}{bound.label}"
                found += [(words, bound.id_for_label, error) for error in bound.errors]
        return found

    def value(self, session_id: str) -> dict[str, Json]:
        """As a replay file holds it; the form is valid."""
        said = self.form.cleaned_data
        value: dict[str, Json] = {
            "id": said["session_id"] or session_id,
            "name": said["title"],
            "input": lines_of(said["input"]),
            "contract": said["contract"].name,
        }
        for name in ("expected_failure", "recorded_output", "agent_version"):
            if said[name].strip():
                value[name] = lines_of(said[name])
        if turns := [f.cleaned_data for f in self._filled(self.turns)]:
            value["context"] = [
                {"role": t["role"], "content": lines_of(t["content"])} for t in turns
            ]
        if calls := [_call(f.cleaned_data) for f in self._filled(self.calls)]:
            value["tool_responses"] = calls
        return value

    def refuse(self, problem: Problem) -> None:
        """Puts a problem of the value where the person typed it."""
        form, name = self.form, "session_id" if problem.field == "id" else problem.field
        if place := _PLACE.match(problem.field):
            rows = self.turns if place[1] == "context" else self.calls
            form, name = self._filled(rows)[int(place[2])], place[3]
        form.add_error(name if name in form.fields else None, problem.message)

    @staticmethod
    def _filled(rows: Any) -> list[Any]:
        return [form for form in rows.forms if form.has_changed()]


def _call(said: dict[str, Any]) -> dict[str, Json]:
    value: dict[str, Json] = {"tool": said["tool"]}
    for name in ("args", "status", "latency_ms", "error", "response"):
        if said[name] not in (None, ""):
            value[name] = said[name]
    ms = value.get("latency_ms")
    if isinstance(ms, float) and ms.is_integer():
        value["latency_ms"] = int(ms)
    return value


class DetailsForm(forms.Form):
    """What people say of an incident; its recording is no part of it. Each field carries the value
    that it was opened with along, so that only what was changed is saved."""

    title = forms.CharField(
        max_length=MAX_TITLE,
        error_messages={"required": "Say in a few words what went wrong."},
        show_hidden_initial=True,
    )
    severity = forms.ChoiceField(choices=Incident.Severity.choices, show_hidden_initial=True)
    tags = TagsField(
        required=False,
        max_length=2_000,
        help_text="Words between commas.",
        show_hidden_initial=True,
    )
    expected_failure = _text(
        "What is wrong with the answer", rows=2, required=False, show_hidden_initial=True
    )

    def clean_expected_failure(self) -> str:
        return lines_of(self.cleaned_data["expected_failure"])

    @property
    def before(self) -> dict[str, Any] | None:
        """What the form was opened with; None: it does not say."""
        said = {name: self.data.get(self.add_initial_prefix(name)) for name in self.fields}
        if None in said.values():
            return None
        text = lines_of(said["expected_failure"])
        return said | {"tags": words_of(said["tags"]), "expected_failure": text}


class RevisionForm(forms.Form):
    """The editor of a recording. `base` is the number of the revision that it was opened with."""

    text = _text("Recording", rows=24, error_messages={"required": "Write the recording first."})
    note = forms.CharField(required=False, max_length=MAX_NOTE, label="Why it is changed")
    base = forms.IntegerField(required=False, min_value=1, max_value=2**31 - 1, label="Revision")

    @property
    def typed(self) -> str:
        """As it came, whatever is wrong with it."""
        return lines_of(str(self["text"].value() or ""))
