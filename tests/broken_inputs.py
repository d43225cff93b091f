"""A thousand inputs that no door may stumble over, made from a seed.

`expect` says what a door must do: `refused`, `kept` (odd, but legal text: it is stored as it is and
shown harmless), or `either` (a mutation may leave a file that is whole). Every id is unique, so
that all of them can be put into one project or one directory. Contents are made one at a time:
three of them are 50 MB.
"""

from __future__ import annotations

import io
import json
import random
import stat
import struct
import zipfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

Expect = Literal["refused", "kept", "either"]
MB = 1024 * 1024
SECRET = "FLAKESTORM_BROKEN_INPUTS_SECRET"  # set it to this value: no door may ever show it
SECRET_VALUE = "s3cret-that-nobody-may-see"

XSS = (
    "<script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
    "</title><svg onload=alert(1)>",
    '"><img src=x onerror=alert(1)>',
    "' autofocus onfocus=alert(1) x='",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    '<a href="javascript:alert(1)">here</a>',
    "<style>*{display:none}</style>",
    "<base href=//evil.example/>",
    "<form action=//evil.example><button>Log in",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<div hx-get=/logout/ hx-trigger=load>",
    "<div hx-on:load=alert(1)>",
    "{{ request.user.password }}{% debug %}",
    "<!--<script>-->alert(1)<!--</script>-->",
    "]]><script>alert(1)</script><![CDATA[",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    '<math><mi//xlink:href="data:x,<script>alert(1)</script>">',
)
BIDI = (
    "abc\u202egnp.exe",
    "\u2066right\u2069\u2067left\u2069",
    "zero\u200bwidth\u200djoined\ufeff",
    "tags \U000e0041\U000e0042\U000e007f",
    "\u061cmark \u200f\u200e",
    "line\u2028and\u2029paragraph",
)
# In JSON they are escapes, so that the file itself is printable.
CONTROL = ("bell\x07", "escape \x1b[31mred\x1b[0m", "null \x00 byte", "c1 \x9b2J", "half \ud83d")
_TYPES: tuple[Any, ...] = (7, 1.5, True, None, [], {}, [1, "two"], {"a": {"b": 1}}, "\u0664")


@dataclass(frozen=True)
class BrokenInput:
    name: str  # unique: also the session's id where there is one
    kind: str
    content: bytes = field(repr=False)
    filename: str
    expect: Expect = "refused"

    @property
    def is_zip(self) -> bool:
        return self.filename.endswith(".zip")

    @property
    def text(self) -> str:
        """As a form would send it."""
        return self.content.decode("utf-8", "replace")


def broken_inputs(seed: int, *, kinds: Collection[str] = ()) -> Iterator[BrokenInput]:
    """At least 1,000 inputs, the same ones for the same seed; of some kinds only, if any is named.

    Each has its chance from its own name, so that a kind is the same with others and alone.
    """
    for kind, (count, make) in _KINDS.items():
        for number in range(count) if not kinds or kind in kinds else ():
            name = f"{kind.replace(' ', '-')}-{number}"
            filename, content, expect = make(random.Random(f"{seed} {name}"), name, number)
            yield BrokenInput(name, kind, content, filename, expect)


def whole(session_id: str, **fields: Any) -> dict[str, Any]:
    """A session with every field filled in; `contract: default` is the only one there is."""
    return {
        "id": session_id,
        "name": "Prod incident",
        "input": "What was ACME's revenue?",
        "contract": "default",
        "source": "manual",
        "expected_failure": "The agent made up a figure",
        "captured_at": "2026-02-15T10:00:00+01:00",
        "context": [{"role": "user", "content": "Good morning"}],
        "recorded_output": "It was $4.2 million.",
        "agent_version": "v1",
        "tool_responses": [
            {
                "tool": "market_data",
                "args": {"q": "ACME"},
                "response": {"error": "upstream"},
                "status": 504,
                "latency_ms": 30_000,
                "headers": {"Content-Type": "application/json"},
            },
            {"tool": "web_search", "error": "Connection reset by peer", "status": 0, "id": "c2"},
        ],
        "replay": {"match": "auto", "tools": {"web_search": {"on_miss": "last"}}},
        **fields,
    }


Made = tuple[str, bytes, Expect]
Make = Callable[[random.Random, str, int], Made]


def _write(value: Any, name: str, number: int) -> tuple[str, bytes]:
    """Half of them YAML, half JSON."""
    if number % 2:
        return f"{name}.json", json.dumps(value, indent=1).encode()
    return f"{name}.yaml", yaml.safe_dump(value, sort_keys=False).encode()


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items: Any = ()
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield from _paths(item, (*path, key))


def _put(value: Any, path: tuple[Any, ...], item: Any) -> None:
    for step in path[:-1]:
        value = value[step]
    value[path[-1]] = item


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def _truncated(chance: random.Random, name: str, number: int) -> Made:
    filename, content = _write(whole(name), name, number)
    cut = chance.randrange(1, len(content) - 2)
    return filename, content[:cut], "refused" if filename.endswith("json") else "either"


def _wrong_types(chance: random.Random, name: str, number: int) -> Made:
    value = whole(name)
    path = chance.choice([p for p in _paths(value) if p])
    _put(value, path, chance.choice([t for t in _TYPES if type(t) is not type(_at(value, path))]))
    return *_write(value, name, number), "either"


def _unknown_fields(chance: random.Random, name: str, number: int) -> Made:
    value = whole(name)
    key = chance.choice(["tool_reponses", "x", "__class__", "file_", "Input", "é", "a.b", "0", ""])
    places = [(), ("tool_responses", 0), ("replay",), ("replay", "tools", "web_search")]
    _at(value, chance.choice(places))[key] = chance.choice(_TYPES)
    return *_write(value, name, number), "refused"


def _deep(chance: random.Random, name: str, number: int) -> Made:
    depth = chance.choice([101, 500, 5_000, 200_000])
    opening, closing = chance.choice([("[", "]"), ('{"a":', "}"), ("- ", "")])
    nested = opening * depth + ("1" if opening[0] == "{" else "") + closing * depth
    if number % 2 and opening != "- ":
        text = f'{{"id": "{name}", "input": "x", "contract": "default", "context": [{nested}]}}'
        return f"{name}.json", text.encode(), "refused"
    return (
        f"{name}.yaml",
        f"id: {name}\ncontract: default\ninput:\n  {nested}\n".encode(),
        "refused",
    )


def _alias_bombs(chance: random.Random, name: str, number: int) -> Made:
    fan, levels = chance.randrange(9, 40), chance.randrange(6, 30)
    if number % 3 == 0:  # text instead of nodes: gigabytes once it is written out
        big = "x" * chance.randrange(100_000, 1_000_000)
        items = ", ".join(["*big"] * 20_000)
        text = f"id: {name}\ninput: x\ncontract: default\ntool_responses:\n  - tool: t\n"
        text += f"    response: {{big: &big {big}, items: [{items}]}}\n"
        return f"{name}.yaml", text.encode(), "refused"
    lines = ["a0: &a0 [x, x]"]
    for level in range(1, levels):
        inner = ", ".join([f"*a{level - 1}"] * fan)
        lines.append(f"a{level}: &a{level} [{inner}]")
    if number % 3 == 2:
        lines = ["a0: &a0 {k: v}"]
        for level in range(1, levels):
            inner = ", ".join(f"k{n}: *a{level - 1}" for n in range(fan))
            lines.append(f"a{level}: &a{level} {{{inner}}}")
    return f"{name}.yaml", f"id: {name}\n{chr(10).join(lines)}\ninput: *a1\n".encode(), "refused"


_TAGS = (
    "!!python/object/apply:os.system ['touch /tmp/executed']",
    "!!python/object/new:subprocess.Popen [[touch, /tmp/executed]]",
    "!!python/name:os.system",
    "!!python/module:os",
    "!!binary aGVsbG8=",
    "!!set {a, b}",
    "!!omap [a: 1]",
    "!!timestamp 2026-01-01",
    "!include /etc/passwd",
    "!<tag:example.com,2026:x> y",
    "!local value",
    "!!str text",
)


def _tags(chance: random.Random, name: str, number: int) -> Made:
    where = chance.choice(["input: {}", "tool_responses: [{{tool: t, response: {}}}]", "name: {}"])
    tag = _TAGS[number % len(_TAGS)]
    if "[" in tag or "{" in tag:
        where = "input: {}"
    text = f"id: {name}\ncontract: default\ninput: x\n"
    if where.startswith("input"):
        text = f"id: {name}\ncontract: default\n"
    return f"{name}.yaml", (text + where.format(tag) + "\n").encode(), "refused"


_MAGIC = (b"\x89PNG\r\n\x1a\n", b"%PDF-1.7\n", b"\x1f\x8b\x08", b"\x7fELF", b"\xff\xd8\xff", b"MZ")


def _binary(chance: random.Random, name: str, number: int) -> Made:
    content = chance.choice(_MAGIC) + chance.randbytes(chance.randrange(20, 20_000))
    if number % 4 == 0:
        filename, text = _write(whole(name), name, number)
        at = chance.randrange(1, len(text) - 1)
        return filename, text[:at] + b"\0\xff" + text[at:], "refused"
    return f"{name}.{chance.choice(['yaml', 'json'])}", content, "refused"


def _encoding(chance: random.Random, name: str, number: int) -> Made:
    value = whole(name, input="Größe in Zürich: 5 €", name="naïve café")
    if number % 2:
        text = json.dumps(value, ensure_ascii=False)
    else:
        text = yaml.safe_dump(value, allow_unicode=True)
    codec = chance.choice(
        ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "utf-7", "cp037"]
    )
    filename = f"{name}.{'json' if number % 2 else 'yaml'}"
    expect: Expect = "either" if codec == "utf-7" else "refused"
    return filename, text.encode(codec, "replace"), expect


def _big(chance: random.Random, name: str, number: int) -> Made:
    size = 50 * MB
    if number == 0:
        head = f"id: {name}\ncontract: default\ninput: "
        return f"{name}.yaml", head.encode() + b"x" * size, "refused"
    if number == 1:
        return f"{name}.json", b"[" + b"[]," * (size // 3) + b"1]", "refused"
    return f"{name}.zip", b"PK\x03\x04" + chance.randbytes(1024) * (size // 1024), "refused"


def _file_entries(chance: random.Random, name: str, number: int) -> Made:
    target = chance.choice(
        [
            "/etc/passwd",
            "../../../../etc/passwd",
            "/proc/self/environ",
            "file:///etc/passwd",
            "http://169.254.169.254/latest/meta-data/",
            "C:\\Windows\\win.ini",
            "\\\\evil.example\\share\\x",
            "./../../.env",
            f"{name}-missing.yaml",
        ]
    )
    value = chance.choice(
        [
            {"file": target},
            {"id": name, "file": target},
            {**whole(name), "file": target},
            {"file": target, "input": "x", "contract": "default"},
            {**whole(name), "contract": target},
        ]
    )
    return *_write(value, name, number), "refused"


def _variables(chance: random.Random, name: str, number: int) -> Made:
    value = whole(name)
    text = chance.choice(["${%s}", "${HOME}", "${FLAKESTORM_SECRET_KEY}", "${%s:-x}", "${}"])
    text = text.replace("%s", SECRET)
    fields = ["input", "contract", "agent_version", "source", "recorded_output", "name"]
    if number % 3 == 0:
        value["tool_responses"][0]["headers"] = {"Authorization": f"Bearer {text}"}
    elif number % 3 == 1:
        value["tool_responses"][0][chance.choice(["tool", "response"])] = text
    else:
        value[chance.choice(fields)] = text
    return *_write(value, name, number), "refused"


def _texts(corpus: tuple[str, ...], *, only_json: bool = False) -> Make:
    def make(chance: random.Random, name: str, number: int) -> Made:
        value, text = whole(name), corpus[number % len(corpus)]
        places = [p for p in _paths(value) if p and isinstance(_at(value, p), str)]
        # These hold a word of the format, or decide which session and contract it is.
        fixed = {"captured_at", "match", "on_miss", "contract"}
        places = [p for p in places if not fixed.intersection(p) and p[-1] != "id"]
        for place in chance.sample(places, chance.randrange(1, 4)):
            _put(value, place, text)
        if number % 5 == 0:
            value["id"] = f"{name} {text}"
        if number % 7 == 0:
            value["tool_responses"][0]["args"][text] = {text: [text]}
        expect: Expect = "either" if "\ud83d" in text else "kept"  # a text must be whole characters
        return *_write(value, name, 1 if only_json else number), expect

    return make


def _xss_names(chance: random.Random, name: str, number: int) -> Made:
    """Where the text is wrong there: messages repeat it."""
    value, text = whole(name), XSS[number % len(XSS)]
    place = chance.choice([("contract",), ("captured_at",), ("replay", "match"), (text,)])
    _put(value, place, text)
    return *_write(value, name, number), "refused"


# --- Archives ------------------------------------------------------------------------------------


def _zip(members: dict[str | zipfile.ZipInfo, bytes]) -> bytes:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            if isinstance(member, str):
                member = zipfile.ZipInfo(member)  # of 1980: the same bytes at any time
                member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, content)
    return into.getvalue()


def _session_text(name: str) -> bytes:
    return yaml.safe_dump(whole(name)).encode()


def _zip_bombs(chance: random.Random, name: str, number: int) -> Made:
    if number % 4 == 0:
        content = _zip({f"{name}.yaml": b"x" * (40 * MB)})
    elif number % 4 == 1:
        content = _zip({f"{name}-{n}.yaml": b"#" * (4 * MB) for n in range(15)})
    elif number % 4 == 2:
        content = _zip({f"{n}.yaml": b"" for n in range(5_000)})
    else:  # says that it is small
        bomb = bytearray(_zip({f"{name}.yaml": b"y" * (40 * MB)}))
        at = bomb.rindex(b"PK\x01\x02")
        struct.pack_into("<L", bomb, at + 24, 10)
        content = bytes(bomb)
    return f"{name}.zip", content, "refused"


def _zip_paths(chance: random.Random, name: str, number: int) -> Made:
    path = chance.choice(
        [
            f"../{name}.yaml",
            f"/tmp/{name}.yaml",
            f"a/../../{name}.yaml",
            f"..\\{name}.yaml",
            f"C:\\{name}.yaml",
            f"a/./../../../etc/{name}.yaml",
            f"//server/share/{name}.yaml",
        ]
    )
    info = zipfile.ZipInfo("placeholder")
    info.filename = path
    return f"{name}.zip", _zip({info: _session_text(name)}), "refused"


def _zip_links(chance: random.Random, name: str, number: int) -> Made:
    info = zipfile.ZipInfo(f"{name}.yaml")
    info.create_system = 3
    kind = chance.choice([stat.S_IFLNK, stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
    info.external_attr = (kind | 0o777) << 16
    return f"{name}.zip", _zip({info: b"/etc/passwd"}), "refused"


def _zip_broken(chance: random.Random, name: str, number: int) -> Made:
    content = bytearray(_zip({f"{name}.yaml": _session_text(name)}))
    match number % 4:
        case 0:
            return f"{name}.zip", bytes(content[: chance.randrange(5, len(content) - 1)]), "refused"
        case 1:  # encrypted, by its flag
            for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
                content[content.index(signature) + offset] |= 1
        case 2:  # its bytes are not those that were packed
            content[content.index(b"PK\x03\x04") + 60] ^= 0xFF
        case _:
            value = {"file": chance.choice(["/etc/passwd", "../../etc/passwd", "gone.yaml"])}
            content = bytearray(_zip({f"{name}.yaml": json.dumps(value).encode()}))
    return f"{name}.zip", bytes(content), "refused"


_KINDS: dict[str, tuple[int, Make]] = {
    "truncated": (110, _truncated),
    "wrong type": (160, _wrong_types),
    "unknown field": (90, _unknown_fields),
    "deep nesting": (24, _deep),
    "alias bomb": (24, _alias_bombs),
    "YAML tag": (48, _tags),
    "binary": (60, _binary),
    "encoding": (56, _encoding),
    "big": (3, _big),
    "file": (60, _file_entries),
    "variable": (60, _variables),
    "control": (50, _texts(CONTROL, only_json=True)),
    "bidi": (60, _texts(BIDI)),
    "XSS": (120, _texts(XSS)),
    "XSS in a message": (40, _xss_names),
    "zip bomb": (8, _zip_bombs),
    "zip path": (28, _zip_paths),
    "zip link": (12, _zip_links),
    "zip": (24, _zip_broken),
}

KINDS = {kind: count for kind, (count, _) in _KINDS.items()}
