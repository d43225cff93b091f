"""The doors: logging in, and the way to one's own project."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LoginView
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_safe

from replays_app.access import form_methods
from replays_app.forms.accounts import LoginForm


@method_decorator(login_not_required, name="dispatch")
class Login(LoginView):
    """A login that ran out while a page was open: htmx follows the redirect and would put this
    form into the page's middle. It is told to reload instead, which comes here with `next`."""

    authentication_form = LoginForm

    def get_redirect_url(self) -> str:
        """Only a path of this site, and no door: the login would lead in circles."""
        wanted = super().get_redirect_url()
        path = wanted.partition("?")[0]
        is_page = path.startswith("/") and path not in (reverse("login"), reverse("logout"))
        return wanted if is_page else ""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.htmx:
            return HttpResponse(status=204, headers={"HX-Refresh": "true"})
        return super().dispatch(request, *args, **kwargs)

    def form_invalid(self, form: LoginForm) -> HttpResponse:
        response = super().form_invalid(form)
        if form.too_many:
            response.status_code = 429
            response["Retry-After"] = str(form.too_many.wait)
        return response


login = form_methods(Login.as_view(redirect_authenticated_user=True))


@require_safe
@login_not_required
def admin_login(request: HttpRequest) -> HttpResponse:
    """Django's admin has a login of its own, which would be a way around the limit."""
    if request.user.is_authenticated:
        raise PermissionDenied("These pages are for the superusers of this installation.")
    return redirect(f"{reverse('login')}?{urlencode({'next': request.GET.get('next', '')})}")


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    mine = request.user.memberships.select_related("project").order_by("project__name").first()
    if mine is None:
        return render(request, "replays/no_project.html", status=403)
    return redirect("project", mine.project.slug)
