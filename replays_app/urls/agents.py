"""Agents, versions, deployments, secrets, connection checks."""

from django.urls import URLPattern

project: list[URLPattern] = []  # below /p/<project>/
site: list[URLPattern] = []
