"""What the browser loads: vendored, pinned, and nothing inline."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest
from django.conf import settings

STATIC = Path(settings.BASE_DIR) / "static"
TEMPLATES = sorted((Path(settings.BASE_DIR) / "templates").rglob("*.html"))


@pytest.mark.parametrize(
    "folder", [STATIC / "vendor", Path(__file__).parent.parent / "browser" / "vendor"]
)
def test_vendored_files_are_those_of_the_readme(folder):
    listed = dict(
        re.findall(
            r"^\| `(\S+)` \|.*\| `(\S+)` \|$", (folder / "README.md").read_text(), re.MULTILINE
        )
    )
    files = {p.name: p for p in folder.iterdir() if p.name != "README.md"}
    assert listed.keys() == files.keys()
    for name, digest in listed.items():
        found = hashlib.sha384(files[name].read_bytes()).digest()
        assert base64.b64encode(found).decode() == digest, name


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda p: p.name)
def test_a_template_has_nothing_inline(template):
    text = template.read_text()
    assert not re.search(r"\sstyle=|<style|\son[a-z]+=|hx-on|js:|javascript:", text)
    assert not re.search(r"<script(?![^>]*\ssrc=)", text)
    assert "|safe" not in text
    assert "autoescape off" not in text


def test_the_policy_allows_only_what_this_host_serves(client, db):
    policy = client.get("/login/")["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "style-src 'self'" in policy
    assert "unsafe" not in policy


def test_a_page_asks_for_three_files(team):
    page = team.client("viewer").get(team.url("incident", team.incident().key)).content.decode()
    loaded = re.findall(r'(?:src|rel="stylesheet" href)="([^"]+)"', page)
    assert len(loaded) == 3
