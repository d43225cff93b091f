from django.contrib import admin
from django.contrib.auth import views as auth_views
from django.urls import include, path

from replays_app.views.home import Login, admin_login

urlpatterns = [
    path("login/", Login.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", auth_views.LogoutView.as_view(), name="logout"),
    # Before the admin's own: one door, with one limit.
    path("admin/login/", admin_login, name="admin-login"),
    path("admin/", admin.site.urls),
    path("django-rq/", include("django_rq.urls")),
    path("", include("replays_app.urls")),
]

handler400 = "replays_app.views.errors.bad_request"
handler500 = "replays_app.views.errors.server_error"
