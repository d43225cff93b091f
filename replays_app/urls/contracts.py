"""Contracts, their revisions and dry runs."""

from django.urls import URLPattern, path

from replays_app.views import contract_editor, contracts, incident_contract

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
    path("incidents/<str:key>/contract/", incident_contract.choose, name="incident-contract"),
    path("incidents/<str:key>/targets/", incident_contract.targets, name="incident-targets"),
]
site: list[URLPattern] = []
