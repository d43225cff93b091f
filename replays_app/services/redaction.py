"""A project's rules of redaction, and the key of its pseudonyms."""

from __future__ import annotations

import base64
import itertools
import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import transaction

from replays_app.engine.redaction import BadRules, Pattern, Redactor, Rules
from replays_app.engine.values import Json
from replays_app.models import Project
from replays_app.services import activity, crypto
from replays_app.services.errors import Refused

if TYPE_CHECKING:
    from django.contrib.auth.models import User

# Beside the rules in Project.redaction, encrypted: whoever has it could try values until one gives
# a pseudonym.
KEY = "key"
KEY_BYTES = 32


MAX_CHANGES = 100  # that a preview lists


@dataclass(frozen=True, slots=True)
class Change:
    where: str  # as a path of the rules names it; "a key of …" for a key
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What a text or JSON value would become."""

    after: str  # as a text; JSON indented
    counts: dict[str, int]
    changes: tuple[Change, ...] = ()  # of a structure, value by value, at most MAX_CHANGES


def rules_of(project: Project) -> Rules:
    """Raises Refused where what is stored cannot be read: nothing may pass unredacted."""
    value = {name: part for name, part in project.redaction.items() if name != KEY}
    try:
        return Rules.from_value(value)
    except BadRules as error:
        raise Refused(
            f"The project's redaction rules cannot be read: {error.message}",
            remedy="Save them again under Settings, Redaction.",
        ) from error


def redactor(project: Project) -> Redactor:
    """One for one recording. Raises Refused when the rules or the key cannot be read."""
    return Redactor(rules_of(project), _key(project))


def save_rules(
    project: Project,
    *,
    off: Sequence[str],
    patterns: Sequence[Pattern],
    paths: Sequence[str],
    actor: User | None,
) -> Rules:
    """From the next recording on. Raises Refused with the field."""
    try:
        rules = Rules.from_value(
            {
                "off": list(off),
                "patterns": [{"name": p.name, "pattern": p.pattern} for p in patterns],
                "paths": list(paths),
            }
        )
    except BadRules as error:
        raise Refused(error.message, remedy=error.remedy, field=error.field) from error
    with transaction.atomic():
        row = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        before = {name: part for name, part in row.redaction.items() if name != KEY}
        after = rules.to_value()
        if before != after:
            row.redaction = row.redaction | after
            row.save(update_fields=["redaction"])
            said: dict[str, Json] = {
                "off": ", ".join(after["off"]) or "none",
                "patterns": ", ".join(p["name"] for p in after["patterns"]) or "none",
                "paths": ", ".join(after["paths"]) or "none",
            }
            activity.record(row, "redaction changed", actor=actor, **said)
    project.redaction = row.redaction
    return rules


def words_of(project: Project) -> Callable[[str], str]:
    """For sentences that may quote what was refused, and are kept. It never raises: where the
    project's rules cannot be read, everything that is looked for goes."""
    try:
        return redactor(project).text
    except Refused:
        return Redactor(Rules(), secrets.token_bytes(KEY_BYTES)).text


def preview(project: Project, text: str, rules: Rules | None = None) -> Preview:
    """What the rules, those of the project or others, make of a text. JSON is read as such, so that
    the names of its fields count. Nothing of it is stored. Raises Refused."""
    ours = Redactor(rules or rules_of(project), _key(project))
    value = _structure(text)
    if value is None:
        return Preview(ours.text(text), dict(ours.counts))
    return _previewed(value, ours.json(value), ours)


def preview_recording(project: Project, body: dict[str, Json], rules: Rules) -> Preview:
    """What the rules would make of a recording, with their paths. Nothing of it is stored. Raises
    Refused."""
    ours = Redactor(rules, _key(project))
    return _previewed(body, ours.session(body), ours)


def _previewed(before: Json, after: Json, ours: Redactor) -> Preview:
    text = json.dumps(after, indent=2, ensure_ascii=False)
    changes = itertools.islice(_changes(before, after, ""), MAX_CHANGES)
    return Preview(text, dict(ours.counts), tuple(changes))


def _changes(before: Json, after: Json, where: str) -> Iterator[Change]:
    if isinstance(before, dict) and isinstance(after, dict):
        for (key, old), (name, new) in zip(before.items(), after.items(), strict=True):
            if key != name:
                yield Change(f"a key of {where or 'it'}", key, name)
            yield from _changes(old, new, f"{where}.{key}" if where else key)
    elif isinstance(before, list) and isinstance(after, list):
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from _changes(old, new, f"{where}[{index}]")
    elif before != after:
        yield Change(where, _said(before), _said(after))


def _said(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def counted(counts: Mapping[str, int]) -> str:
    """`2 emails, 1 card`; the most frequent first."""
    rows = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    return ", ".join(f"{n:,} {_plural(kind) if n != 1 else kind}" for kind, n in rows)


def _plural(kind: str) -> str:
    if kind.endswith("address"):
        return f"{kind}es"
    return "dates of birth" if kind == "date of birth" else f"{kind}s"


def _structure(text: str) -> Json:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def _key(project: Project) -> bytes:
    """Made with the first recording, and never changed: the same value keeps its pseudonym."""
    if KEY not in project.redaction:
        with transaction.atomic():
            row = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
            if KEY not in row.redaction:
                made = base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
                row.redaction = row.redaction | {KEY: crypto.encrypt(made)}
                row.save(update_fields=["redaction"])
        project.redaction = row.redaction
    return base64.b64decode(crypto.decrypt(project.redaction[KEY]))
