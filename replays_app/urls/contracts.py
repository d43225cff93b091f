"""Contracts, their revisions and dry runs."""

from django.urls import URLPattern, path

from replays_app.views import contract_editor, contracts

project: list[URLPattern] = [
    path("contracts/", contracts.contract_list, name="contracts"),
    path("contracts/new/", contract_editor.new, name="contract-new"),
    path("contracts/check/", contract_editor.check, name="contract-check"),
    path("contracts/<int:pk>/", contracts.contract_page, name="contract"),
    path("contracts/<int:pk>/edit/", contract_editor.edit, name="contract-edit"),
    path("contracts/<int:pk>/changes/", contracts.changes, name="contract-changes"),
    path("contracts/<int:pk>/r<int:number>/", contracts.revision, name="contract-revision"),
    path("contracts/<int:pk>/r<int:number>/try/", contracts.try_stored, name="contract-try"),
    path("contracts/<int:pk>/r<int:number>.yaml", contracts.export, name="contract-export"),
]
site: list[URLPattern] = []
