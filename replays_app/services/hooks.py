"""CI's hooks: an address and a signing secret, which is shown once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction
from django.utils import timezone

from replays_app.models import Agent, CiHook, Project
from replays_app.services import activity, crypto, signatures
from replays_app.services.errors import Refused

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MAX_NAME = 100  # characters; the column's width
MOST = 50  # hooks of one project


def create_hook(
    project: Project, name: str, agent: Agent, actor: User | None
) -> tuple[CiHook, str]:
    """The row, and the secret that is told only now. Raises Refused."""
    name = name.strip()
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise Refused(
            f"The name has {len(name)} characters, or some that cannot be seen.",
            field="name",
            remedy=f"Use 1 to {MAX_NAME} visible ones.",
        )
    if agent.project_id != project.pk:
        raise Refused("This agent belongs to another project.", field="agent")
    if project.ci_hooks.count() >= MOST:
        raise Refused(f"The project has {MOST} hooks.", remedy="Rotate the secret of one of them.")
    secret = signatures.new_secret()
    try:
        with transaction.atomic():
            hook = CiHook.objects.create(
                project=project,
                name=name,
                agent=agent,
                ciphertext=crypto.encrypt(secret),
                created_by=actor,
            )
            _log(hook, "hook created", actor)
    except IntegrityError as error:
        raise Refused(
            f"There is a hook named {name} already.", field="name", remedy="Choose another name."
        ) from error
    return hook, secret


def rotate_secret(hook: CiHook, actor: User | None) -> str:
    """A new secret, told only now; what was signed with the old one is refused from here on."""
    secret = signatures.new_secret()
    with transaction.atomic():
        hook.ciphertext = crypto.encrypt(secret)
        hook.save(update_fields=["ciphertext"])
        _log(hook, "hook secret rotated", actor)
    return secret


def set_enabled(hook: CiHook, enabled: bool, actor: User | None) -> None:
    if enabled == (hook.disabled_at is None):
        return
    with transaction.atomic():
        hook.disabled_at = None if enabled else timezone.now()
        hook.save(update_fields=["disabled_at"])
        _log(hook, "hook enabled" if enabled else "hook disabled", actor)


def _log(hook: CiHook, verb: str, actor: User | None) -> None:
    activity.record(hook.project, verb, actor=actor, hook=hook.name, agent=hook.agent.name)
