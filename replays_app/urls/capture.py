"""Bringing incidents in: form, upload, revisions, export."""

from django.urls import URLPattern

project: list[URLPattern] = []  # below /p/<project>/
site: list[URLPattern] = []
