"""One byte string for one JSON value, and its sha256: how two sessions are found to be the same.

RFC 8785 (JCS) sorts keys and writes numbers as ECMAScript does: `1.0` and `1` are one value. It
knows neither integers past 2^53 nor lone surrogates, and recordings hold both (19-digit ids, cut
emoji). Those are replaced by tagged mappings first:

    9007199254740993      {"$int": "9007199254740993"}
    "\\ud83d"              {"$utf16": "d83d"}        (big-endian code units, hexadecimal)
    {"\\ud83d": 1}         {"$pairs": [[key, value], …]}, in the order of the code units
    {"$int": …}           {"$map": {"$int": …}}     (a recorded mapping that looks like a tag)

So different values never share their bytes, and a value without any of these has exactly the
bytes of RFC 8785.
"""

from __future__ import annotations

import hashlib

import rfc8785

from replays_app.engine.values import Json

MAX_SAFE_INTEGER = 2**53 - 1
_TAGS = frozenset({"$int", "$utf16", "$pairs", "$map"})


def canonical_bytes(value: Json) -> bytes:
    """Raises ValueError for NaN, infinity and what is no JSON."""
    return rfc8785.dumps(_tagged(value))


def sha256_of(value: Json) -> str:
    """64 lower-case hexadecimal digits."""
    return hashlib.sha256(canonical_bytes(value)).hexdigest()


def _tagged(value: Json) -> Json:
    if isinstance(value, str):
        return value if _is_clean(value) else {"$utf16": _code_units(value).hex()}
    if isinstance(value, dict):
        return _tagged_mapping(value)
    if isinstance(value, list | tuple):
        return [_tagged(item) for item in value]
    if isinstance(value, int) and not -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
        return {"$int": str(value)}
    return value


def _tagged_mapping(value: dict[str, Json]) -> Json:
    if not all(map(_is_clean, value)):
        keys = sorted(value, key=_code_units)
        return {"$pairs": [[_tagged(key), _tagged(value[key])] for key in keys]}
    tagged = {key: _tagged(item) for key, item in value.items()}
    return {"$map": tagged} if len(tagged) == 1 and not _TAGS.isdisjoint(tagged) else tagged


def _is_clean(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _code_units(text: str) -> bytes:
    return text.encode("utf-16-be", "surrogatepass")
