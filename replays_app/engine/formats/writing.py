"""Values written as files that people read and edit: block YAML, and indented JSON.

What is written reads back equal (loading.py), whatever text a recording holds.
"""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from replays_app.engine.values import Json

# Plain in YAML 1.1 as PyYAML reads it, but something else to a reader of YAML 1.2 or to old ones.
_LOOKS_TYPED = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|0o[0-7]+|[yYnN]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_PAST_LIBYAML = re.compile("[\ud800-\udfff\U00010000-\U0010ffff]")
_NO_FOLDING = 2**20  # characters a line


def to_yaml(*values: Json) -> str:
    """One document for each value; keys in the order they have, multi-line text as a block."""
    text: str = yaml.dump_all(
        values,
        Dumper=_Dumper if any(map(_needs_python, values)) else _CDumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        explicit_start=len(values) > 1,
        width=_NO_FOLDING,
    )
    # Text with such characters stands in double quotes, where an escape says the same and is seen.
    return text if text.replace("\n", " ").isprintable() else _HIDDEN.sub(_escape, text)


# What str.isprintable calls none, but for the line feed that ends a line.
_HIDDEN = re.compile("[^\n -~]")


def _escape(found: re.Match[str]) -> str:
    character = found.group()
    if character.isprintable():
        return character
    code = ord(character)
    return (
        f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 2**16 else f"\\U{code:08x}"
    )


def to_json(value: Json) -> str:
    """Raises ValueError for NaN and infinity."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    if _SURROGATE.search(text):  # can only be written as an escape
        text = json.dumps(value, indent=2, ensure_ascii=True)
    return text + "\n"


def _needs_python(value: Json) -> bool:
    """libyaml's writer escapes every emoji, and fails on lone surrogates."""
    return _PAST_LIBYAML.search(json.dumps(value, ensure_ascii=False)) is not None


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


class _CDumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: Any, text: str) -> yaml.ScalarNode:
    style = None
    if _reads_as_block(text):
        style = "|"
    elif not text.isprintable():
        style = '"'
    elif _LOOKS_TYPED.fullmatch(text):
        style = "'"
    node: yaml.ScalarNode = dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)
    return node


def _reads_as_block(text: str) -> bool:
    """A block shows text as it is, so it must hold nothing that the eye or YAML would lose."""
    lines = text.split("\n")
    return (
        len(lines) > 1
        and text[0] not in "\n "
        and all(line.isprintable() and not line.endswith(" ") for line in lines)
    )


for _dumper in (_Dumper, _CDumper):
    _dumper.add_representer(str, _represent_text)
