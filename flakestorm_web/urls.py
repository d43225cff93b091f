from django.contrib import admin
from django.contrib.auth import views as auth_views
from django.urls import include, path
from django.views.decorators.http import require_POST

from replays_app.views.home import admin_login, login

urlpatterns = [
    path("login/", login, name="login"),
    path("logout/", require_POST(auth_views.LogoutView.as_view()), name="logout"),
    # Before the admin's own: one door, with one limit.
    path("admin/login/", admin_login, name="admin-login"),
    path("admin/", admin.site.urls),
    path("django-rq/", include("django_rq.urls")),
    path("", include("replays_app.urls")),
]

handler400 = "replays_app.views.errors.bad_request"
handler500 = "replays_app.views.errors.server_error"
