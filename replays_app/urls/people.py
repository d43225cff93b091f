"""Members, invitations, passwords, API tokens, the activity log."""

from django.urls import URLPattern

project: list[URLPattern] = []  # below /p/<project>/
site: list[URLPattern] = []
