"""Contracts, their revisions and dry runs."""

from django.urls import URLPattern

project: list[URLPattern] = []  # below /p/<project>/
site: list[URLPattern] = []
