"""Zip archives of strangers: read in memory, inside their own walls, and never past a bound.

Nothing is unpacked to disk. What an archive says of itself (sizes, counts) is not believed: entries
are counted before they are listed, and bytes while they are decompressed.
"""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

from replays_app.engine.formats.directory import SUFFIXES
from replays_app.engine.formats.loading import MAX_BYTES as MAX_FILE_BYTES

MAX_ENTRIES = 2_000  # files and folders in all archives of one upload
MAX_UNPACKED_BYTES = 20 * 1024 * 1024  # of all their files that are read
_CHUNK = 64 * 1024
_ENTRY = b"PK\x01\x02"  # begins every entry of the archive's list
_STARTS = (b"PK\x03\x04", b"PK\x05\x06")  # with a file, or empty
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class BadArchive(ValueError):
    """Nothing of it can be used: what was seen, and what would do."""


@dataclass(slots=True)
class Unpacked:
    files: dict[str, bytes] = field(default_factory=dict)  # by path, in the archive's order
    refused: list[tuple[str, str]] = field(default_factory=list)  # and why
    skipped: list[tuple[str, str]] = field(default_factory=list)  # and why


@dataclass(slots=True)
class Allowance:
    """What is left to the archives of one upload: of hundreds, each within a bound of its own, none
    would be too large. One that is refused uses up what it took."""

    entries: int = MAX_ENTRIES
    bytes: int = MAX_UNPACKED_BYTES


def is_archive(file: IO[bytes]) -> bool:
    file.seek(0)
    start = file.read(4)
    file.seek(0)
    return start in _STARTS


def unpack(file: IO[bytes], left: Allowance) -> Unpacked:
    """Every YAML and JSON file in it. Raises BadArchive."""
    left.entries -= _count_entries(file)
    if left.entries < 0:
        raise BadArchive(
            f"brings the archives of this upload past {MAX_ENTRIES:,} entries; upload it in parts"
        )
    unpacked = Unpacked()
    try:
        with zipfile.ZipFile(file) as archive:
            for entry in archive.infolist():
                if why := _why_refused(entry, unpacked.files):
                    unpacked.refused.append((entry.filename, why))
                elif why := _why_skipped(entry):
                    unpacked.skipped.append((entry.filename, why))
                elif _is_read(entry):
                    _take(archive, entry, unpacked, left)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, OverflowError) as error:
        if isinstance(error, BadArchive):
            raise
        raise BadArchive("is damaged, or no zip archive; make it again") from error
    return unpacked


def _count_entries(file: IO[bytes]) -> int:
    """At most this many: a list of millions would fill the memory before it could be counted."""
    file.seek(0)
    count, tail = 0, b""
    while chunk := file.read(_CHUNK):
        count += (tail + chunk).count(_ENTRY)
        tail = chunk[-len(_ENTRY) + 1 :]
    file.seek(0)
    return count


def _why_refused(entry: zipfile.ZipInfo, known: dict[str, bytes]) -> str:
    name = entry.filename
    parts = name.split("/")
    if "\\" in name or ":" in parts[0] or name.startswith("/"):
        return "is no path inside the archive; pack the directory itself, with relative paths"
    if ".." in parts:
        return "leads out of the archive by `..`; pack the directory itself"
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        what = "a link" if kind == stat.S_IFLNK else "no ordinary file"
        return f"is {what}, which is not followed; put the file itself in its place"
    if entry.flag_bits & 0x1:
        return "is encrypted; pack it without a password"
    if entry.compress_type not in _METHODS:
        return "is packed by a method that is not read; pack it as an ordinary zip (deflate)"
    if name in known:
        return "is in the archive twice; keep one of both"
    return ""


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _why_skipped(entry: zipfile.ZipInfo) -> str:
    if entry.is_dir() or _is_hidden(entry.filename) or _is_read(entry):
        return ""
    return "is neither YAML nor JSON by its name"


def _is_read(entry: zipfile.ZipInfo) -> bool:
    """Hidden files and directories are left alone, as the command line does."""
    name = entry.filename
    return not (entry.is_dir() or _is_hidden(name)) and name.lower().endswith(tuple(SUFFIXES))


def _take(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, into: Unpacked, left: Allowance
) -> None:
    """Puts one file into `into.files`, or why not into `into.refused`."""
    content = bytearray()
    try:
        for chunk in _chunks(archive, entry):
            content += chunk
            left.bytes -= len(chunk)
            if left.bytes < 0:
                raise BadArchive(
                    f"brings the archives of this upload past {MAX_UNPACKED_BYTES:,} bytes when "
                    "they are unpacked; upload it in parts"
                )
            if len(content) > MAX_FILE_BYTES:
                into.refused.append(
                    (entry.filename, f"is more than {MAX_FILE_BYTES:,} bytes; split it")
                )
                return
    except (zipfile.BadZipFile, zlib.error, EOFError):
        into.refused.append((entry.filename, "is damaged; make the archive again"))
        return
    into.files[entry.filename] = bytes(content)


def _chunks(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    with archive.open(entry) as packed:
        while chunk := packed.read(_CHUNK):
            yield chunk
