"""Members, invitations, tokens, projects."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone

from replays_app.models import Membership, Project
from replays_app.services.tokens import MAX_NAME, SCOPES
from replays_app.templatetags.shown import plain

ROLES = {
    Membership.Role.VIEWER: "viewer: reads everything",
    Membership.Role.RESPONDER: "responder: also replays, triages, edits incidents and contracts",
    Membership.Role.ADMIN: "admin: also agents, people, tokens, secrets, retention",
}
NEVER = "never"
EXPIRIES = {"30": "in 30 days", "90": "in 90 days", "365": "in a year", NEVER: "never"}


class InviteForm(forms.Form):
    role = forms.ChoiceField(choices=list(ROLES.items()), initial=Membership.Role.RESPONDER)
    email = forms.EmailField(
        required=False,
        max_length=254,
        label="Email address",
        help_text="Whom it is for. The link works for whoever opens it first.",
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
    )


class RoleForm(forms.Form):
    """Changing one's own role takes a tick more."""

    role = forms.ChoiceField(choices=list(ROLES.items()))
    sure = forms.BooleanField(
        label="Confirmation",
        help_text="Yes, change my own role. I cannot undo that myself.",
        error_messages={"required": "This is your own role: tick the box to confirm."},
    )

    def __init__(self, *args: Any, is_self: bool, **more: Any) -> None:
        super().__init__(*args, **more)
        if not is_self:
            del self.fields["sure"]


class RemoveForm(forms.Form):
    """`member`: with `user` and `project`; `tokens`: how many they made that still work. What a
    box means is its help text."""

    tokens = forms.BooleanField(required=False)
    sure = forms.BooleanField(
        label="Confirmation", error_messages={"required": "Tick the box to confirm."}
    )

    def __init__(
        self, *args: Any, member: Membership, is_self: bool, tokens: int, **more: Any
    ) -> None:
        super().__init__(*args, **more)
        project = plain(member.project)
        self.fields["sure"].help_text = (
            f"Yes, take myself out of {project}. I cannot undo that myself."
            if is_self
            else f"Yes, take {plain(member.user)} out of {project}"
        )
        whose = "I" if is_self else "they"
        self.fields["tokens"].help_text = f"Also revoke the API tokens that {whose} made ({tokens})"
        if not tokens:
            del self.fields["tokens"]


class TokenForm(forms.Form):
    name = forms.CharField(
        max_length=MAX_NAME, help_text="What it is for, such as “CI of the finance agent”."
    )
    scopes = forms.MultipleChoiceField(
        choices=[(k, f"{k}: {words}") for k, words in SCOPES.items()],
        widget=forms.CheckboxSelectMultiple,
        label="What it may do",
        error_messages={"required": "Choose at least one."},
    )
    expires = forms.ChoiceField(choices=list(EXPIRIES.items()), initial="90", label="Expires")

    @property
    def expires_at(self) -> datetime | None:
        chosen = self.cleaned_data["expires"]
        return None if chosen == NEVER else timezone.now() + timedelta(days=int(chosen))


class _ProjectForm(forms.ModelForm):
    """Uniqueness is the services' word, under a lock; here only what a field may look like."""

    class Meta:
        model = Project
        fields: tuple[str, ...] = ("name", "prefix")
        labels = {"slug": "Address"}
        help_texts = {
            "slug": "Small letters, digits and hyphens: /p/<address>/. It stays as it is; the "
            "operator's file of agents names projects by it.",
            "prefix": "Incidents are called by it, as FIN-12. It is fixed with the first incident.",
        }

    def validate_unique(self) -> None:
        pass


class ProjectForm(_ProjectForm):
    class Meta(_ProjectForm.Meta):
        fields = ("name", "slug", "prefix")

    def clean_slug(self) -> str:
        slug = self.cleaned_data["slug"]
        if slug != slug.lower():
            raise forms.ValidationError(f"Small letters only: {slug.lower()}")
        return slug


class ProjectSettingsForm(_ProjectForm):
    def __init__(self, *args: Any, project: Project, **more: Any) -> None:
        self.project = project
        # A copy: the form writes what was typed into its instance.
        shown = Project(name=project.name, prefix=project.prefix)
        super().__init__(*args, instance=shown, **more)
        if project.last_incident_number:
            self.fields["prefix"].disabled = True
            self.fields["prefix"].help_text = "Fixed: incidents are called by it already."
