"""Several incidents at once: those whose rows were chosen, or all that match the list's filters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.contrib import messages
from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_http_methods

from replays_app import queries
from replays_app.access import RESPONDER, action, member
from replays_app.forms.ci import BatchForm, BulkForm
from replays_app.forms.incidents import FilterForm
from replays_app.models import AgentVersion, Batch, Contract, Incident, Membership
from replays_app.queries import batch as batch_queries
from replays_app.services import batches, incidents, tags
from replays_app.services.errors import Refused
from replays_app.templatetags.shown import plain
from replays_app.views.batches import batch_url
from replays_app.views.incidents import list_context
from replays_app.views.triage import UNPROCESSABLE, refused, see

MOST_CHOSEN = 200  # rows in one action; a page of the list has 50
MOST_VERSIONS = 200
BULK_FIELDS = ("state", "owner", "tag", "contract")
NAMED = 20  # incidents that the page of a replay names


@action
@member(RESPONDER)
def bulk(request: HttpRequest, membership: Membership) -> HttpResponse:
    form = BulkForm(request.POST)
    keys = list(dict.fromkeys(request.POST.getlist("key")))
    try:
        if not form.is_valid():
            raise Refused(" ".join(words for field in form.errors.values() for words in field))
        chosen = _chosen(membership, keys)
        if form.cleaned_data["do"] == "replay":
            url = reverse("incidents-replay", args=[membership.project.slug])
            return see(f"{url}?{urlencode([('key', i.key) for i in chosen])}")
        _apply(form.cleaned_data, chosen, membership, request.user)
    except Refused as error:
        return _show_refusal(request, membership, keys, error)
    several = f"{len(chosen)} incidents are" if len(chosen) > 1 else f"{chosen[0].key} is"
    messages.success(request, f"{several} changed.")
    query = _filters(request, membership).wanted
    url = reverse("incidents", args=[membership.project.slug])
    return see(f"{url}?{urlencode(query)}" if query else url)


def _chosen(membership: Membership, keys: Sequence[str]) -> list[Incident]:
    if not keys:
        raise Refused("No incident is chosen.", remedy="Mark its row first.")
    if len(keys) > MOST_CHOSEN:
        raise Refused(f"{len(keys):,} incidents are chosen, at most {MOST_CHOSEN} at once.")
    project = membership.project
    numbers = batch_queries.numbers_of(project, keys)
    found = list(Incident.objects.filter(project=project, number__in=numbers).order_by("pk"))
    for incident in found:
        incident.project = project
    if len(found) != len(keys):
        known = {incident.key for incident in found}
        missing = next(key for key in keys if key not in known)
        raise Refused(f"{missing[:40]}: no such incident in {project}.")
    return found


def _apply(
    asked: dict[str, Any], chosen: Sequence[Incident], membership: Membership, actor: Any
) -> None:
    """All or none. In the order of ids, so that two people who do this never lock each other out.
    Raises Refused."""
    do: Callable[[Incident], None]
    if asked["do"] == "state":
        do = lambda incident: incidents.set_state(incident, asked["state"], actor)  # noqa: E731
    elif asked["do"] == "owner":
        owner = _owner(asked["owner"], membership, actor)
        do = lambda incident: incidents.assign(incident, owner, actor)  # noqa: E731
    elif asked["do"] == "contract":
        contract = _contract(asked["contract"], membership)
        do = lambda incident: incidents.set_contract(incident, contract, actor)  # noqa: E731
    else:
        change = tags.add if asked["do"] == "tag" else tags.remove
        do = lambda incident: change(incident, asked["tag"], actor)  # noqa: E731
    with transaction.atomic():
        for incident in chosen:
            do(incident)


def _contract(pk: int | None, membership: Membership) -> Contract:
    known = membership.project.contracts.exclude(current=None).select_related("current")
    found = known.filter(pk=pk).first() if pk else None
    if found is None:
        raise Refused("That contract is none of this project.", remedy="Choose another.")
    return found


def _owner(value: str, membership: Membership, actor: Any) -> Any:
    if value in ("me", "nobody"):
        return actor if value == "me" else None
    people = get_user_model().objects.filter(memberships__project=membership.project)
    found = people.filter(username=value.removeprefix("@")).first()
    if found is None:
        raise Refused("That owner is no member of this project.", remedy="Choose another.")
    return found


def _filters(request: HttpRequest, membership: Membership) -> FilterForm:
    """The list's filters as they were when the form was shown."""
    form = FilterForm(QueryDict(request.POST.get("query", "")[:2000]), project=membership.project)
    form.is_valid()
    return form


def _show_refusal(
    request: HttpRequest, membership: Membership, keys: Sequence[str], error: Refused
) -> HttpResponse:
    """The list again, with what was chosen and entered."""
    context = list_context(request, membership, _filters(request, membership))
    entered = {name: request.POST.get(name, "")[:200] for name in BULK_FIELDS}
    context |= {"bulk_error": str(error), "chosen": set(keys), "bulk": entered}
    return render(request, "replays/incidents.html", context, status=UNPROCESSABLE)


@require_http_methods(["GET", "HEAD", "POST"])
@member(RESPONDER)
def replay(request: HttpRequest, membership: Membership) -> HttpResponse:
    """What will be replayed, and on which version; it lives in the URL, as chosen `key`s or as the
    list's filters. POST asks for it."""
    project = membership.project
    filters = FilterForm(request.GET, project=project)
    filters.is_valid()
    keys = request.GET.getlist("key")[: batches.MOST]
    found = (
        Incident.objects.filter(project=project, number__in=batch_queries.numbers_of(project, keys))
        if keys
        else queries.incidents(project, filters.wanted, request.user)
    ).order_by("-number")
    numbers = list(found.values_list("number", flat=True)[: batches.MOST + 1])
    chosen = [f"{project.prefix}-{number}" for number in numbers]
    form = BatchForm(request.POST if request.method == "POST" else None, versions=_versions(found))
    if request.method == "POST" and form.is_valid():
        try:
            batch = _request(membership, form, chosen, request.user)
        except Refused as error:
            refused(form, error)
        else:
            return see(batch_url(batch))
    context = {
        "project": project,
        "form": form,
        "many": len(chosen),
        "is_too_many": len(chosen) > batches.MOST,
        "most": batches.MOST,
        "named": chosen[:NAMED],
        "unnamed": max(0, len(chosen) - NAMED),
        "guards": found.filter(state=Incident.State.FIXED).count(),
        "is_chosen": bool(keys),
        "filters": filters,
        "query": request.GET.urlencode(),
    }
    status = UNPROCESSABLE if form.errors else 200
    return render(request, "replays/incidents_replay.html", context, status=status)


def _versions(found: QuerySet[Incident]) -> list[tuple[int, str]]:
    """Of the agents of these incidents, newest registration first. Whether one can be replayed is
    said when it is asked for."""
    agents = found.order_by().exclude(agent=None).values("agent").distinct()
    rows = AgentVersion.objects.filter(
        agent__in=agents, agent__retired_at=None, retired_at=None
    ).select_related("agent")
    return [
        (version.pk, plain(f"{version.agent} {version}"))
        for version in rows.order_by("agent__name", "-pk")[:MOST_VERSIONS]
    ]


def _request(membership: Membership, form: BatchForm, chosen: Sequence[str], actor: Any) -> Batch:
    version = AgentVersion.objects.select_related("agent").get(pk=form.cleaned_data["version"])
    several = "" if len(chosen) == 1 else "s"
    return batches.request_batch(
        membership.project,
        version,
        batches.Selection(keys=tuple(chosen)),
        actor=actor,
        title=f"{len(chosen)} incident{several} on {version.agent} {version}",
        attempts=form.cleaned_data["attempts"],
        strict=form.cleaned_data["strict"],
    )
