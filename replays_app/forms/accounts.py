"""Logging in, and a person's own account."""

from __future__ import annotations

import threading
from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm, PasswordResetForm, UserCreationForm
from django.core.exceptions import ValidationError

from replays_app.client import network_of
from replays_app.services import limits

STRENGTH = (
    "At least 8 characters, not only digits, and neither a common password nor like your name."
)


class LoginForm(AuthenticationForm):
    """Looks at a password only while there are tries left."""

    too_many: limits.TooMany | None = None

    def clean(self) -> dict[str, Any]:
        name, password = (self.cleaned_data.get(n) for n in ("username", "password"))
        if name is None or not password:
            return self.cleaned_data
        try:
            attempt = limits.begin(*limits.login_gates(name, network_of(self.request)))
        except limits.TooMany as error:
            self.too_many = error
            raise ValidationError(str(error), code="too_many") from error
        found = super().clean()
        attempt.succeeded()
        return found


class JoinForm(UserCreationForm):
    """The account of someone who was invited."""

    class Meta(UserCreationForm.Meta):
        fields = ("username", "email")

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["username"].label = "User name"
        self.fields["username"].help_text = "Letters, digits and @ . + - _"
        self.fields["username"].widget.attrs |= {"autocomplete": "username"}
        self.fields["email"].help_text = "Links to reset the password go there."
        self.fields["email"].widget.attrs |= {"autocomplete": "email"}
        self.fields["password1"].help_text = STRENGTH
        self.fields["password2"].label = "Password again"
        self.fields["password2"].help_text = ""


class NameForm(forms.Form):
    name = forms.CharField(
        required=False,
        max_length=150,
        label="Full name",
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )


class EmailForm(forms.Form):
    """A new address takes the password: whoever finds an open browser must not take the account."""

    prefix = "mail"

    email = forms.EmailField(
        required=False,
        max_length=254,
        label="Email address",
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )
    password = forms.CharField(
        label="Your password",
        strip=False,
        max_length=4_096,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )


class ResetForm(PasswordResetForm):
    """Sends in the background: how long the answer takes tells nothing about an address."""

    def send_mail(self, *args: Any, **more: Any) -> None:
        threading.Thread(
            target=super().send_mail, args=args, kwargs=more, name="password reset mail"
        ).start()
