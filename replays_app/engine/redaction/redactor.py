"""Applies rules to texts, JSON values and sessions, and counts what it replaced."""

from __future__ import annotations

import bisect
import json
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

import re2

from replays_app.engine.redaction.compiled import FIELD, KEYED, compiled
from replays_app.engine.redaction.fields import field_of, fields_of, is_version
from replays_app.engine.redaction.find import Find, Shape
from replays_app.engine.redaction.pseudonyms import WORD, Pseudonyms
from replays_app.engine.redaction.recognisers import FIELD_NAMES, Recogniser
from replays_app.engine.redaction.rules import (
    PARTS_OF_CALL,
    Rules,
    quiet_options,
    steps_of,
)
from replays_app.engine.redaction.texts import json_in, quotes_of, view_of, written_in
from replays_app.engine.values import Json

SHORTEST_KNOWN = 4  # characters of a name that is then looked for everywhere
# Of a session: what is the agent's or a person's. The rest is the format's own.
_PARTS = (
    *("id", "name", "agent_version", "input", "context", "recorded_output"),
    "expected_failure",
)
MOST_CLEAN = 50_000  # texts that are remembered
DEEPEST = 200  # levels of a value; formats have fewer, and what is below goes as a whole


class Redactor:
    """`key`: the project's own, at least 16 random bytes. One for each recording: it counts, and a
    name that a field gave is then found in the texts of the same recording too."""

    def __init__(self, rules: Rules, key: bytes) -> None:
        self._compiled = compiled(rules)
        self._paths = tuple(steps_of(path) for path in rules.paths)
        self._pseudonyms = Pseudonyms(key)
        self._known: dict[str, str] = {}  # names from fields, and their pseudonyms
        self._known_pattern: Any = None
        # Texts that hold nothing, by the names that are known now: traces repeat whole
        # conversations, and the names of fields come again and again.
        self._clean: set[str] = set()
        self.counts: Counter[str] = Counter()

    def text(self, text: str) -> str:
        """`text` with pseudonyms in the place of what was found."""
        if text in self._clean:
            return text
        changed = self._changed(text)
        if changed == text and len(self._clean) < MOST_CLEAN:
            self._clean.add(text)
        return changed

    def _changed(self, text: str) -> str:
        spans = self._spans(text)
        if spans:
            parts, at = [], 0
            for start, end, kind, shape in spans:
                value = text[start:end]
                instead = self._pseudonym(kind, shape, value)
                if value.isdecimal():
                    quote = quotes_of(text, start, end)
                    instead = f"{quote}{instead}{quote}"
                parts += [text[at:start], instead]
                at = end
            text = "".join([*parts, text[at:]])
        return self._names(text)

    def json(self, value: Json, *, keep_keys: Collection[str] = ()) -> Json:
        """`keep_keys`: fields whose values are identifiers of machines, and stay."""
        self._learn(value, 0)
        return self._json(value, frozenset(keep_keys), 0)

    def session(self, value: Mapping[str, Json]) -> dict[str, Json]:
        """A replay-file value: what an agent, a tool or a person said in it."""
        body: dict[str, Any] = dict(value)
        for steps in self._paths:
            body = self._at_path(body, steps)
        self._learn(body, 0)
        for name in _PARTS:
            if name in body:
                body[name] = self._json(body[name], frozenset(), 0, field_of("", name, FIELD_NAMES))
        if isinstance(body.get("tool_responses"), list | tuple):
            body["tool_responses"] = [self._call(call) for call in body["tool_responses"]]
        if isinstance(body.get("model_responses"), list | tuple):
            body["model_responses"] = [self._model(said) for said in body["model_responses"]]
        tools = (
            body.get("replay", {}).get("tools") if isinstance(body.get("replay"), dict) else None
        )
        if isinstance(tools, dict):
            body["replay"] = {
                **body["replay"],
                "tools": {n: self._stubs(t) for n, t in tools.items()},
            }
        return body

    def whole(self, value: Json) -> Json:
        """Every text and number in it is a pseudonym, as at the end of a path."""
        found: Json = self._whole(value)
        return found

    def _call(self, call: Json) -> Json:
        if not isinstance(call, dict):
            return call
        return {
            k: self._json(v, frozenset(), 0) if k in PARTS_OF_CALL else v for k, v in call.items()
        }

    def _model(self, said: Json) -> Json:
        """Tools are called by their names, and calls told apart by their ids: those stay."""
        if not isinstance(said, dict):
            return said
        changed = {
            k: self._json(v, frozenset(), 0) if k in ("text", "error") else v
            for k, v in said.items()
        }
        if isinstance(calls := said.get("tool_calls"), list | tuple):
            changed["tool_calls"] = [self._call(call) for call in calls]
        return changed

    def _stubs(self, tool: Json) -> Json:
        if not isinstance(tool, dict):
            return tool
        changed = dict(tool)
        if "stub" in tool:
            changed["stub"] = self._json(tool["stub"], frozenset(), 0)
        if isinstance(tool.get("stubs"), list | tuple):
            changed["stubs"] = [self._call(stub) for stub in tool["stubs"]]
        return changed

    # --- Texts -----------------------------------------------------------------------------------

    def _spans(self, text: str) -> list[tuple[int, int, str, Shape]]:
        """Without overlaps; what comes first in the table wins, then what comes first in the
        text."""
        if len(text) < 3:
            return []
        view = view_of(text)
        read = view.text
        taken: list[tuple[int, int, str, Shape]] = []
        for index in self._compiled.matching(read):
            recogniser, find, pattern = self._compiled.finds[index]
            for match in pattern.finditer(read):
                meant, start, end = self._value(recogniser, find, match, read)
                if meant is None or end - start < 2 or WORD in read[start:end]:
                    continue
                start, end = view.origin(start), view.origin(end)
                at = bisect.bisect(taken, (start, end))
                is_free = at == len(taken) or end <= taken[at][0]
                if is_free and (not at or taken[at - 1][1] <= start):
                    taken.insert(at, (start, end, meant.name, meant.shape))
        return taken

    def _value(
        self, recogniser: Recogniser, find: Find, match: Any, view: str
    ) -> tuple[Recogniser | None, int, int]:
        """Whose value a match is, and from where to where; None where it is nobody's."""
        if recogniser is KEYED:
            start, end = match.span(match.lastindex)
            return self._field_of(match.group(1), view[start:end]), start, end
        start, end = match.span(1 if match.re.groups else 0)
        if find.only:
            end = start + len(find.only(view[start:end]))
        return recogniser if find.accepts(view[start:end], view, start, end) else None, start, end

    def _field_of(self, key: str, value: str) -> Recogniser | None:
        """Whose field this is, inside of a text."""
        known = self._compiled.fields.get(field_of("", key, FIELD_NAMES))
        return known[0] if known is not None and known[1](value) else None

    def _pseudonym(self, kind: str, shape: Shape, value: str) -> str:
        self.counts[kind] += 1
        return self._pseudonyms.of(kind, shape, value)

    def _names(self, text: str) -> str:
        """Names that a field gave, wherever they are said."""
        if self._known_pattern is None or not text:
            return text

        def replaced(found: Any) -> str:
            self.counts["name"] += 1
            return self._known[found.group(1)]

        if not text.isascii():
            text = text.encode("utf-8", "replace").decode() if _has_surrogate(text) else text
        result: str = self._known_pattern.sub(replaced, text)
        return result

    # --- Values ----------------------------------------------------------------------------------

    def _json(self, value: Json, keep: frozenset[str], depth: int, key: str = "") -> Json:
        """`key`: the field that the value is in, as fields.field_of calls it."""
        if isinstance(value, dict | list | tuple):
            if depth > DEEPEST:
                return self._pseudonym(FIELD, "word", "too deep") if value else value
            if isinstance(value, dict):
                return self._mapping(value, keep, depth + 1, key)
            return [self._json(item, keep, depth + 1, key) for item in value]
        if key and value is not None and not isinstance(value, bool):
            known = self._compiled.fields.get(key)
            text = str(value) if known else ""
            if known is not None and WORD not in text and known[1](text):
                return self._pseudonym(known[0].name, known[0].shape, text)
        if isinstance(value, str):
            return value if is_version(key, value) else self.text(value)
        if isinstance(value, int) and abs(value) >= 10**12:
            text = self.text(str(value))
            return value if text == str(value) else text
        return value

    def _mapping(
        self, value: dict[str, Json], keep: frozenset[str], depth: int, parent: str
    ) -> dict[str, Json]:
        changed: dict[str, Json] = {}
        fields = fields_of(parent, value, FIELD_NAMES)
        for key, item in value.items():
            if key in keep:
                changed[key] = item
                continue
            name = self.text(key)
            while name in changed:  # two spellings of one address
                name += "_"
            changed[name] = self._json(item, keep, depth, fields.get(key, ""))
        return changed

    def _learn(self, value: Json, depth: int, key: str = "") -> None:
        """Collects the names that fields give, so that texts lose them too."""
        before = len(self._known)
        self._collect(value, depth, key)
        if len(self._known) > before:
            self._clean.clear()
            words = "|".join(re2.escape(n) for n in sorted(self._known, key=len, reverse=True))
            self._known_pattern = re2.compile(rf"\b({words})\b", quiet_options())

    def _collect(self, value: Json, depth: int, key: str) -> None:
        if depth > DEEPEST:
            return
        if isinstance(value, dict):
            fields = fields_of(key, value, FIELD_NAMES)
            for name, item in value.items():
                if item.__class__ is not int:
                    self._collect(item, depth + 1, fields.get(name, ""))
        elif isinstance(value, list | tuple):
            for item in value:
                self._collect(item, depth + 1, key)
        elif isinstance(value, str) and key in self._compiled.people:
            is_usable = SHORTEST_KNOWN <= len(value) <= 100 and not _has_surrogate(value)
            if is_usable and WORD not in value and self._compiled.fields[key][1](value):
                pseudonym = self._pseudonyms.of("name", "word", value)
                # As it is, and as JSON of ASCII writes it.
                self._known |= {value: pseudonym, json.dumps(value)[1:-1]: pseudonym}
        elif isinstance(value, str) and (inner := written_in(value)) is not None:
            self._collect(inner, depth + 1, key)

    # --- Paths -----------------------------------------------------------------------------------

    def _at_path(self, value: Any, steps: tuple[str, ...]) -> Any:
        """The whole value at the path is a pseudonym; a text that holds JSON is looked into."""
        if not steps:
            return self._whole(value)
        step, rest = steps[0], steps[1:]
        if isinstance(value, dict):
            return {k: self._at_path(v, rest) if step in ("*", k) else v for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [
                self._at_path(v, rest) if step in ("*", str(i)) else v for i, v in enumerate(value)
            ]
        if isinstance(value, str) and (inner := json_in(value)) is not None:
            changed = self._at_path(inner, steps)
            return value if changed == inner else json.dumps(changed, ensure_ascii=False)
        return value

    def _whole(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {k: self._whole(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [self._whole(v) for v in value]
        if value is None or (isinstance(value, str) and (not value or value.startswith(WORD))):
            return value
        return self._pseudonym(
            FIELD, "word", value if isinstance(value, str) else json.dumps(value)
        )


def _has_surrogate(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text)
