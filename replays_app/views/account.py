"""One's own account, and the way back in for who forgot the password."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth import views as auth_views
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import PasswordChangeForm, SetPasswordForm
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse, reverse_lazy
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_safe

from replays_app.access import action, form_methods
from replays_app.client import network_of
from replays_app.forms.accounts import STRENGTH, EmailForm, NameForm, ResetForm
from replays_app.services import accounts, limits
from replays_app.views.triage import UNPROCESSABLE, see

TOO_MANY = 429


@require_safe
def account_page(request: HttpRequest) -> HttpResponse:
    return _show(request)


def _show(request: HttpRequest, *, status: int = 200, **forms: Any) -> HttpResponse:
    user = request.user
    context: dict[str, Any] = {
        "name_form": NameForm(initial={"name": user.get_full_name()}),
        "email_form": EmailForm(initial={"email": user.email}),
        "password_form": _password_form(user),
        "mail_is_on": settings.MAIL_IS_ON,
        "mine": user.memberships.select_related("project").order_by("project__name"),
        **forms,
    }
    return render(request, "replays/account.html", context, status=status)


def _password_form(user: Any, data: Any = None) -> PasswordChangeForm:
    form = PasswordChangeForm(user, data)
    form.fields["old_password"].widget.attrs.pop("autofocus", None)
    form.fields["old_password"].label = "Your password now"
    _new_password(form)
    return form


def _new_password(form: SetPasswordForm) -> None:
    form.fields["new_password1"].help_text = STRENGTH
    form.fields["new_password2"].label = "New password again"
    form.fields["new_password2"].help_text = ""


@action
def set_name(request: HttpRequest) -> HttpResponse:
    form = NameForm(request.POST)
    if not form.is_valid():
        return _show(request, status=UNPROCESSABLE, name_form=form)
    accounts.set_name(request.user, form.cleaned_data["name"])
    messages.success(request, "Your name is saved.")
    return see(reverse("account"))


@sensitive_post_parameters()
@action
def set_email(request: HttpRequest) -> HttpResponse:
    form = EmailForm(request.POST)
    if form.is_valid():
        refusal = _check_password(request, form, form.cleaned_data["password"])
        if refusal:
            return _show(request, status=refusal, email_form=form)
        accounts.set_email(request.user, form.cleaned_data["email"])
        messages.success(request, "Your email address is saved.")
        return see(reverse("account"))
    return _show(request, status=UNPROCESSABLE, email_form=form)


def _check_password(request: HttpRequest, form: Form, password: str) -> int:
    """The status of the refusal, with the reason in the form; 0: it is the password. An open
    browser must not be a place to try passwords without end."""
    try:
        attempt = limits.begin(*_gates(request))
    except limits.TooMany as error:
        form.add_error(None, str(error))
        return TOO_MANY
    if not request.user.check_password(password):
        form.add_error("password", "That is not your password.")
        return UNPROCESSABLE
    attempt.succeeded()
    return 0


def _gates(request: HttpRequest) -> list[limits.Gate]:
    return limits.login_gates(request.user.get_username(), network_of(request))


@sensitive_post_parameters()
@action
def set_password(request: HttpRequest) -> HttpResponse:
    """Every other session of this person ends with it."""
    try:
        attempt = limits.begin(*_gates(request))
    except limits.TooMany as error:
        # Nothing about the form is told: its errors would say whether the password is right.
        empty = _password_form(request.user)
        return _show(request, status=TOO_MANY, password_form=empty, too_many=str(error))
    form = _password_form(request.user, request.POST)
    if "old_password" not in form.errors:
        attempt.succeeded()
    if not form.is_valid():
        return _show(request, status=UNPROCESSABLE, password_form=form)
    form.save()
    update_session_auth_hash(request, form.user)
    accounts.password_changed(request.user, how="on the account page")
    messages.success(request, "Your password is changed. Other browsers are logged out.")
    return see(reverse("account"))


class PasswordReset(auth_views.PasswordResetView):
    """Asks for an address and says the same whatever it is. Without mail: says what to do."""

    form_class = ResetForm
    token_generator = accounts.RESET_LINKS
    template_name = "registration/password_reset_form.html"
    email_template_name = "registration/password_reset_mail.txt"
    subject_template_name = "registration/password_reset_subject.txt"
    success_url = reverse_lazy("password-reset-sent")

    def get_context_data(self, **more: Any) -> dict[str, Any]:
        return super().get_context_data(**more) | {"mail_is_on": settings.MAIL_IS_ON}

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not settings.MAIL_IS_ON:
            return see(reverse("password-reset"))
        return super().post(request, *args, **kwargs)

    def form_valid(self, form: ResetForm) -> HttpResponse:
        email = form.cleaned_data["email"]
        try:
            limits.begin(*limits.mail_gates(email, network_of(self.request)))
        except limits.TooMany as error:
            form.add_error(None, f"Too many links were asked for. {error.again}")
            response = self.form_invalid(form)
            response.status_code = TOO_MANY
            response["Retry-After"] = str(error.wait)
            return response
        return super().form_valid(form)

    def form_invalid(self, form: ResetForm) -> HttpResponse:
        response = super().form_invalid(form)
        response.status_code = UNPROCESSABLE
        return response


@require_safe
@login_not_required
def reset_sent(request: HttpRequest) -> HttpResponse:
    return render(request, "registration/password_reset_sent.html")


@require_safe
@login_not_required
def reset_done(request: HttpRequest) -> HttpResponse:
    return render(request, "registration/password_reset_done.html")


class PasswordResetConfirm(auth_views.PasswordResetConfirmView):
    """Works once: the token is bound to the password and the last login."""

    token_generator = accounts.RESET_LINKS
    template_name = "registration/password_reset_confirm.html"
    success_url = reverse_lazy("password-reset-done")

    def get_form(self, *args: Any, **more: Any) -> SetPasswordForm:
        form = super().get_form(*args, **more)
        _new_password(form)
        return form

    def form_valid(self, form: SetPasswordForm) -> HttpResponse:
        response = super().form_valid(form)
        # The tries that failed are why the person is here.
        limits.forget(*limits.login_gates(self.user.get_username(), ""))
        accounts.password_changed(self.user, how="by a reset link")
        return response

    def form_invalid(self, form: SetPasswordForm) -> HttpResponse:
        response = super().form_invalid(form)
        response.status_code = UNPROCESSABLE
        return response


password_reset = form_methods(PasswordReset.as_view())
password_reset_confirm = form_methods(PasswordResetConfirm.as_view())
