"""Sources, and what is asked of them. A form checks shape; whether it is allowed is the services'
word."""

from __future__ import annotations

from typing import Any

from django import forms

from replays_app.forms.capture import AgentChoice
from replays_app.models import Project, Source
from replays_app.services import source_query, sources
from replays_app.services.trace_imports import LONGEST_REFERENCE
from replays_app.templatetags.shown import plain

_OFF = {"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}
_STATUSES = (
    ("error", "runs that failed"),
    ("warning", "runs that ended well, but a tool failed or the feedback is bad"),
    ("all", "all runs"),
)
_EVERY = (
    ("", "only when somebody asks"),
    *(
        (minutes, f"every {words}")
        for minutes, words in (
            (15, "15 minutes"),
            (60, "hour"),
            (360, "6 hours"),
            (1_440, "day"),
            (10_080, "week"),
        )
    ),
)
OWN_KEY, OPERATORS_KEY = "own", "operator"


def _line(label: str, help_text: str = "", *, required: bool = False, **more: Any):
    longest = more.pop("max_length", source_query.LONGEST)
    widget = forms.TextInput(attrs=_OFF)
    return forms.CharField(
        label=label,
        help_text=help_text,
        required=required,
        max_length=longest,
        widget=widget,
        **more,
    )


def _range_field(**more: Any) -> forms.ChoiceField:
    choices = [(name, source_query.range_words(name)) for name in source_query.RANGES]
    return forms.ChoiceField(label="Looking back", choices=choices, **more)


def _limit_field(**more: Any) -> forms.IntegerField:
    return forms.IntegerField(
        label="At most",
        min_value=1,
        max_value=source_query.MOST,
        help_text=f"Runs of one import, the newest first; up to {source_query.MOST:,}.",
        **more,
    )


class SourceForm(forms.Form):
    name = _line(
        "Name",
        "What pages call it, such as finance in production.",
        required=True,
        max_length=sources.LONGEST_NAME,
    )
    whose_key = forms.ChoiceField(
        label="Key",
        choices=[
            (OWN_KEY, "a key of its own, kept encrypted"),
            (OPERATORS_KEY, "the operator's key, in the workers' environment"),
        ],
        initial=OWN_KEY,
    )
    url = _line(
        "Address of the API",
        "Not that of the pages. For the operator's key it is the operator's own.",
        initial="https://api.smith.langchain.com",
        max_length=sources.LONGEST_URL,
    )
    key = forms.CharField(
        required=False,
        strip=False,
        max_length=sources.LONGEST_KEY,
        label="API key",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    workspace = _line("Workspace id", "Only for a key of a whole organisation.")
    project = _line("Project", "By its name, as LangSmith shows it.", required=True)
    status = forms.ChoiceField(label="Which", choices=_STATUSES)
    date_range = _range_field(initial=source_query.DEFAULT_RANGE)
    min_latency_ms = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=source_query.LONGEST_LATENCY_MS,
        label="Took at least (ms)",
    )
    run_name = _line("Run name")
    tag = _line("Tag")
    metadata = _line("Metadata", "Such as env=prod, team=checkout.", max_length=2_000)
    filter = _line(
        "Filter of LangSmith",
        'In its own words, such as has(tags, "vip"). It is added to the others.',
        max_length=source_query.LONGEST_FILTER,
    )
    limit = _limit_field(initial=source_query.DEFAULT_LIMIT)
    agent = AgentChoice(label="Agent", help_text="Of the incidents that are new.")
    contract = forms.ModelChoiceField(
        queryset=None,
        required=False,
        label="Contract",
        empty_label="the project's only one, else none yet",
        help_text="That judges the incidents that are new.",
    )
    every_minutes = forms.TypedChoiceField(
        label="Import", choices=_EVERY, coerce=int, empty_value=None, required=False
    )
    untested = forms.BooleanField(
        required=False,
        label="Save it untested",
        help_text="The first import tests the key then.",
    )

    def __init__(self, data: Any = None, *, project: Project, source: Source | None = None) -> None:
        super().__init__(data, initial=_initial(source) if source else None)
        AgentChoice.fill(self, project)
        self.fields["contract"].queryset = project.contracts.exclude(current=None).order_by("name")
        has_key = bool(source and source.key)
        self.fields["key"].help_text = (
            "There is one. Leave this empty to keep it; it is never shown."
            if has_key
            else "Encrypted, tested when you save, and never shown again."
        )
        _offer(self.fields["date_range"], source and source.query.get("date_range"))
        _offer(self.fields["every_minutes"], source and source.every_minutes)

    def wanted(self) -> sources.Wanted:
        """The form is valid."""
        said = self.cleaned_data
        query = {name: said[name] for name in (*_IN_QUERY, "min_latency_ms", "limit")}
        return sources.Wanted(
            name=said["name"],
            url=said["url"],
            key=said["key"],
            from_environment=said["whose_key"] == OPERATORS_KEY,
            query={**query, "name": said["run_name"]},
            agent=said["agent"],
            contract=said["contract"],
            every_minutes=said["every_minutes"],
            untested=said["untested"],
        )


_IN_QUERY = ("project", "workspace", "status", "date_range", "tag", "metadata", "filter")


def _initial(source: Source) -> dict[str, Any]:
    return {
        **source.query,
        "run_name": source.query.get("name", ""),
        "name": source.name,
        "whose_key": OWN_KEY if source.key else OPERATORS_KEY,
        "url": source.url,
        "agent": source.agent_id,
        "contract": source.contract_id,
        "every_minutes": source.every_minutes or "",
    }


def _offer(field: Any, value: Any) -> None:
    """A value from elsewhere stays what it is when the form is saved again."""
    known = {str(choice) for choice, _ in field.choices}
    if value and str(value) not in known:
        words = f"every {value} minutes" if isinstance(value, int) else value
        if isinstance(value, str):
            words = source_query.range_words(value)
        field.choices = [*field.choices, (value, words)]


class SourceChoice(forms.TypedChoiceField):
    """One of the project's sources, by id."""

    def __init__(self, **more: Any) -> None:
        super().__init__(
            label="Source",
            coerce=int,
            empty_value=None,
            error_messages={
                "required": "Choose a source.",
                "invalid_choice": "This project has no such source.",
            },
            **more,
        )

    @staticmethod
    def fill(form: forms.Form, project: Project, *, none: str = "") -> None:
        known = project.sources.order_by("name").values_list("pk", "name")
        choices = [(pk, plain(name)) for pk, name in known]
        form.fields["source"].choices = ([("", none)] if none else []) + choices
        form.has_sources = bool(choices)


class RunForm(forms.Form):
    """One run."""

    reference = _line(
        "Run",
        "Its id, the address of its page, or a public share link. A run inside another one leads "
        "to the whole.",
        required=True,
        max_length=LONGEST_REFERENCE,
        error_messages={"required": "Paste a run's id or the address of its page."},
    )
    source = SourceChoice(required=False)

    def __init__(self, data: Any = None, *, project: Project) -> None:
        super().__init__(data, auto_id="run_%s")
        SourceChoice.fill(self, project, none="none: a public share link")
        if data is None:
            only = self.fields["source"].choices
            self.initial["source"] = only[1][0] if len(only) == 2 else ""


class TakeForm(forms.Form):
    """What a source has now; its own settings hold unless something else is chosen for once."""

    source = SourceChoice()
    status = forms.ChoiceField(
        label="Which", choices=[("", "as the source says"), *_STATUSES], required=False
    )
    date_range = _range_field(required=False)
    limit = _limit_field(required=False)
    do = forms.ChoiceField(choices=[("preview", "preview"), ("import", "import")])

    def __init__(self, data: Any = None, *, project: Project) -> None:
        super().__init__(data, auto_id="take_%s")
        SourceChoice.fill(self, project)
        field = self.fields["date_range"]
        field.choices = [("", "as the source says"), *field.choices]

    @property
    def query(self) -> dict[str, Any]:
        """The form is valid."""
        said = {name: self.cleaned_data[name] for name in ("status", "date_range", "limit")}
        return {name: value for name, value in said.items() if value}
