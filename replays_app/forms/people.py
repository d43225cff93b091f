"""Logging in, accounts, members, invitations and tokens."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError

from replays_app.client import network_of
from replays_app.services import limits


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
