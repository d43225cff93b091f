"""Agents, versions, deployments, connection checks and secrets. A form checks shape; whether it is
allowed is the services' word."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils import timezone

from replays_app.engine.formats.project_agent import MAX_BYTES
from replays_app.models import Agent, Deployment, Project
from replays_app.queries import agent as queries
from replays_app.services import agents, checks, deployments, secrets, versions

_OFF = {"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}


class TextForm(forms.Form):
    """The editor of an agent's block. `base` is what it was opened on."""

    text = forms.CharField(
        strip=False,
        max_length=MAX_BYTES,
        label="Configuration",
        widget=forms.Textarea,
        error_messages={"required": "Write the configuration first."},
    )
    base = forms.CharField(required=False, max_length=16)

    def clean_text(self) -> str:
        return _lines(self.cleaned_data["text"])

    @property
    def typed(self) -> str:
        """As it came, whatever is wrong with it."""
        return _lines(str(self["text"].value() or ""))


class NewAgentForm(TextForm):
    name = forms.CharField(
        max_length=agents.LONGEST,
        label="Name",
        help_text="What incidents, contracts and CI call it, such as support.",
        widget=forms.TextInput(attrs=_OFF),
    )
    label = forms.CharField(
        required=False,
        max_length=versions.LONGEST_LABEL,
        label="Version that runs there now",
        help_text="Its label, such as v1.8. Without one, register a version before you replay.",
        widget=forms.TextInput(attrs=_OFF),
    )


class RegisterForm(forms.Form):
    label = forms.CharField(
        max_length=versions.LONGEST_LABEL,
        label="Label",
        help_text="One label is one version for ever, such as v1.8.",
        widget=forms.TextInput(attrs=_OFF),
    )
    commit = forms.CharField(
        required=False, max_length=versions.LONGEST_COMMIT, widget=forms.TextInput(attrs=_OFF)
    )
    endpoint = forms.CharField(
        required=False,
        max_length=2_000,
        label="Endpoint of its own",
        help_text="Where this version alone is reached; then it can still be replayed later.",
        widget=forms.TextInput(attrs={**_OFF, "inputmode": "url"}),
    )


class VersionForm(forms.Form):
    """Asks something of one version of the agent."""

    version = forms.TypedChoiceField(
        coerce=int, error_messages={"invalid_choice": "This agent has no such version."}
    )

    def __init__(self, data: Any = None, *, agent: Agent, shown: list[Any], **more: Any) -> None:
        """`shown`: the versions to choose from. Sent back, another of the agent's is fine, too."""
        super().__init__(data, **more)
        choices = {version.pk: version.label for version in shown}
        sent = str(data.get("version", "")) if data is not None else ""
        if sent.isascii() and sent.isdigit() and len(sent) < 10 and int(sent) not in choices:
            choices |= dict(agent.versions.filter(pk=int(sent)).values_list("pk", "label"))
        self.fields["version"].choices = list(choices.items())


class DeployForm(VersionForm):
    environment = forms.CharField(
        max_length=deployments.LONGEST,
        initial=Deployment.PRODUCTION,
        help_text="Only production moves the state of incidents.",
        widget=forms.TextInput(attrs={**_OFF, "list": "environments"}),
    )
    started_at = forms.DateTimeField(
        label="Since (UTC)",
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"],
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        error_messages={"invalid": "Write it like 2026-02-20T09:00, in UTC."},
    )

    def __init__(self, *args: Any, **more: Any) -> None:
        more.setdefault("initial", {}).setdefault("started_at", timezone.now())
        super().__init__(*args, **more)


class CheckForm(VersionForm):
    prompt = forms.CharField(
        max_length=checks.LONGEST_PROMPT,
        label="Question",
        initial=checks.PROMPT,
        help_text="The agent really gets it. One that needs a tool shows whether its calls arrive.",
        widget=forms.Textarea(attrs={"rows": 2}),
    )


class SecretForm(forms.Form):
    name = forms.CharField(
        max_length=100,
        help_text="Capital letters, digits and _, such as MODEL_API_KEY. The same name replaces.",
        widget=forms.TextInput(attrs=_OFF),
    )
    value = forms.CharField(
        strip=False,
        max_length=secrets.LONGEST,
        help_text=f"At least {secrets.SHORTEST} characters. Encrypted, and never shown again.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )


class AgentForm(forms.Form):
    """The agent that an incident is of."""

    agent = forms.ModelChoiceField(
        queryset=Agent.objects.none(),
        empty_label=None,
        error_messages={"invalid_choice": "This project has no such agent."},
    )

    def __init__(self, data: Any = None, *, project: Project, **more: Any) -> None:
        super().__init__(data, **more)
        self.fields["agent"].queryset = queries.agents_to_choose(project)


def _lines(text: str) -> str:
    """Browsers send a text area's line ends as CR LF."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
