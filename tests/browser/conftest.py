"""A real server with its own database, and headless Chromium in front of it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

from tests.absent import missing
from tests.browser.world import PASSWORD

ROOT = Path(__file__).resolve().parent.parent.parent
# For what a page is waited for; on an idle machine nothing takes a second.
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)
ARGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass(frozen=True)
class Site:
    url: str
    known: dict[str, Any]  # what driver.build printed
    env: dict[str, str]

    def path(self, name: str) -> str:
        """A page by the name of what it shows, or by its address's name."""
        base = self.known["base"]
        if name in self.known["pages"]:
            return str(self.known["pages"][name])
        if name in self.known["runs"]:
            return f"{base}/runs/{self.known['runs'][name]}/"
        keys = {"main": self.known["main"], "hostile": self.known["hostile"]}
        return f"{base}/incidents/{keys[name]}/" if name in keys else f"{base}/incidents/{name}"

    def drive(self, command: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "tests.browser.driver", command],
            cwd=ROOT,
            env=self.env,
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return done.stdout


# Module scope: other modules' tests look whether this process has children left.
@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    data = tmp_path_factory.mktemp("site")
    env = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL")} | {
        "FLAKESTORM_DATA": str(data),
        "FLAKESTORM_SECRET_KEY": "browser-tests-only-" + "0" * 40,
        "DJANGO_SETTINGS_MODULE": "tests.browser.settings",
    }
    migrate = [sys.executable, "manage.py", "migrate", "-v0"]
    subprocess.run(migrate, cwd=ROOT, env=env, check=True, timeout=120)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        known = json.loads(Site(url, {}, env).drive("build"))
        descriptor = listening.fileno()
        command = [sys.executable, "-m", "gunicorn", "flakestorm_web.wsgi", "--threads", "4"]
        server = subprocess.Popen(
            [*command, "--bind", f"fd://{descriptor}"],
            cwd=ROOT,
            env=env,
            pass_fds=[descriptor],
            stdout=subprocess.DEVNULL,
            stderr=(data / "server.log").open("w"),
        )
        try:
            yield Site(url, known, env)
        finally:
            server.terminate()
            server.wait(timeout=30)


# Module scope: while playwright runs, its event loop counts as running in this thread, so that the
# next module's `asyncio.run` would be refused.
@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        missing("chromium is not on PATH (Debian: chromium)")
    browser = playwright.chromium.launch(executable_path=program, args=ARGS)
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def logged_in(chromium: Browser, site: Site) -> dict[str, Any]:
    """The cookies of an admin."""
    context = chromium.new_context(base_url=site.url)
    page = context.new_page()
    page.goto("/login/")
    page.fill("#id_username", "ada")
    page.fill("#id_password", PASSWORD)
    page.click("button.primary")
    page.wait_for_url("**/p/**")
    state = context.storage_state()
    context.close()
    return dict(state)


@pytest.fixture
def complaints() -> list[str]:
    """What the browser's console said: errors, and what the content policy stopped."""
    return []


@pytest.fixture
def open_page(
    chromium: Browser, site: Site, logged_in: dict[str, Any], complaints: list[str]
) -> Iterator[Callable[..., Page]]:
    """Opens a window as the admin; every error on its console fails the test."""
    contexts: list[BrowserContext] = []

    def open_one(*, width: int = 1280, anonymous: bool = False, **more: Any) -> Page:
        context = chromium.new_context(
            base_url=site.url,
            viewport={"width": width, "height": 900},
            storage_state=None if anonymous else logged_in,
            **more,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)

        def listen(message: Any) -> None:
            if message.type in ("error", "warning"):
                complaints.append(f"{page.url}: {message.text}")

        page.on("console", listen)
        page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert complaints == []
