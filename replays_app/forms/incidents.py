"""What people may ask for. A form checks shape; whether it is allowed is the services' word."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib.auth import get_user_model

from replays_app.engine.values import Outcome
from replays_app.engine.verdict import PRESETS, REPRODUCTION_ATTEMPTS, Verdict
from replays_app.models import Incident, Project, Run
from replays_app.queries import DEFAULT_SORT, NO_CONTRACT, NO_VERDICT, SORTS
from replays_app.services.incidents import MAX_COMMENT
from replays_app.services.tags import MAX_TAG
from replays_app.templatetags.shown import plain

User = get_user_model()


def _choices(first: str, values: Iterable[str]) -> list[tuple[str, str]]:
    return [("", first), *((v, v) for v in values)]


USUAL_ORDER = ("sort", DEFAULT_SORT)


class FilterForm(forms.Form):
    """The list's filters; they live in the URL."""

    q = forms.CharField(required=False, max_length=200, label="Search title or key")
    state = forms.ChoiceField(required=False, choices=_choices("all", Incident.State.values))
    severity = forms.ChoiceField(
        required=False, choices=_choices("any severity", Incident.Severity.values)
    )
    owner = forms.ChoiceField(required=False)
    agent = forms.ChoiceField(required=False)
    verdict = forms.ChoiceField(
        required=False,
        choices=_choices("any verdict", [*(v.value for v in Verdict), NO_VERDICT]),
    )
    contract = forms.ChoiceField(
        required=False,
        choices=[("", "any contract"), (NO_CONTRACT, "needs a contract")],
    )
    last = forms.ChoiceField(
        required=False,
        label="Last run",
        choices=_choices("any outcome", [o.value for o in Outcome]),
    )
    tag = forms.CharField(required=False, max_length=MAX_TAG)
    sort = forms.ChoiceField(
        required=False,
        label="Order",
        choices=[(k, s.label) for k, s in SORTS.items()],
    )

    def __init__(self, data: Any, *, project: Project) -> None:
        super().__init__(data)
        names = project.memberships.values_list("user__username", flat=True)
        owners = [(f"@{n}", plain(n)) for n in sorted(names)]
        self.owners = [("me", "me"), ("nobody", "nobody"), *owners]  # for actions, too
        self.fields["owner"].choices = [
            ("", "any owner"),
            *self.owners,
        ]
        agents = project.agents.order_by("name").values_list("name", flat=True)
        self.fields["agent"].choices = [("", "any agent"), *((a, plain(a)) for a in agents)]

    @property
    def wanted(self) -> dict[str, str]:
        """The filters that are set; the usual order is none."""
        return {k: v for k, v in self.cleaned_data.items() if v and (k, v) != USUAL_ORDER}

    @property
    def hidden_ones(self) -> int:
        """How many of the filters that are folded away are set."""
        folded = ("severity", "owner", "agent", "verdict", "contract", "last", "tag", "sort")
        return sum(n in self.wanted for n in folded) if self.is_valid() else 0


_RULE = PRESETS["default"]

# value: (words, attempts, purpose)
PLANS = {
    "once": ("Once", 1, Run.Purpose.CHECK),
    "verdict": ("Until the verdict", _RULE.cap, Run.Purpose.CHECK),
    "reproduce": ("Reproduce", REPRODUCTION_ATTEMPTS, Run.Purpose.REPRODUCE),
}
PLAN_HELP = {
    "once": "1 attempt. A quick look; it proves little.",
    "verdict": f"{_RULE.clean_passes} clean passes show it fixed; "
    f"at most {_RULE.cap} attempts, stops as soon as it is decided.",
    "reproduce": f"Exactly {REPRODUCTION_ATTEMPTS} attempts on an older version, to show that "
    "the incident happens there.",
}


class ReplayForm(forms.Form):
    """`versions`: (id, label) of those that can be replayed."""

    version = forms.TypedChoiceField(coerce=int, widget=forms.RadioSelect)
    plan = forms.ChoiceField(
        choices=[(k, words) for k, (words, *_) in PLANS.items()],
        initial="once",
        widget=forms.RadioSelect,
        label="Attempts",
    )
    live_tools = forms.BooleanField(required=False)

    def __init__(
        self, data: Any = None, *, versions: list[tuple[int, str]], may_go_live: bool
    ) -> None:
        super().__init__(data)
        self.fields["version"].choices = versions
        self.fields["version"].error_messages["invalid_choice"] = (
            "This version cannot be replayed. Choose one of those that can."
        )
        if versions:
            self.fields["version"].initial = versions[0][0]
        if not may_go_live:
            del self.fields["live_tools"]

    @property
    def attempts(self) -> int:
        return PLANS[self.cleaned_data["plan"]][1]

    @property
    def purpose(self) -> str:
        return PLANS[self.cleaned_data["plan"]][2]


class StateForm(forms.Form):
    state = forms.ChoiceField(choices=Incident.State.choices)


class AssignForm(forms.Form):
    """An empty owner takes the incident away from everyone."""

    owner = forms.ModelChoiceField(
        queryset=User.objects.none(), required=False, empty_label="nobody"
    )

    def __init__(self, data: Any = None, *, project: Project, **more: Any) -> None:
        super().__init__(data, **more)
        members = User.objects.filter(memberships__project=project)
        self.fields["owner"].queryset = members.order_by("username")


class CommentForm(forms.Form):
    text = forms.CharField(
        max_length=MAX_COMMENT,
        label="Comment",
        widget=forms.Textarea,
        error_messages={"required": "Write something first."},
    )
