"""CI's door: webhooks, deliveries, batches."""

from django.urls import URLPattern

project: list[URLPattern] = []  # below /p/<project>/
site: list[URLPattern] = []
