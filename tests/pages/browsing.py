"""A browser in which nothing goes wrong unnoticed."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, Request, expect

from tests.pages.airflow_server import PREFIX, AirflowServer

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
"""The machine's Chromium; without one, the one that `playwright install chromium` brings."""


expect.set_options(timeout=30_000)  # with others at work a page takes as long as it takes


@dataclass
class Visit:
    """A browser window of one person, and what it complained about."""

    page: Page
    server: AirflowServer
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        reply = self.page.goto(f"{self.server.url}{PREFIX}{path}")
        assert reply is not None
        assert reply.ok, f"{path}: {reply.status}"
        return self.page

    def heading(self) -> str:
        return self.page.locator("h1").inner_text()


def start_chromium(playwright: Playwright) -> Browser:
    # --no-sandbox: tests run as root in a container, and see only pages of their own
    return playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


@contextmanager
def visiting(browser: Browser, server: AirflowServer, who: str, **options) -> Iterator[Visit]:
    """Open a window in which `who` is signed in; fail for any complaint of the browser."""
    context = browser.new_context(**options)
    context.add_cookies([{"name": "_token", "value": server.token(who), "url": server.url}])
    page = context.new_page()
    visit = Visit(page, server)
    own = urlsplit(server.url).netloc

    def heard(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            visit.complaints.append(f"{message.type}: {message.text} ({message.location})")

    def asked(request: Request) -> None:
        if urlsplit(request.url).netloc not in {own, ""}:
            visit.complaints.append(f"asks elsewhere: {request.url}")

    page.on("console", heard)
    page.on("pageerror", lambda error: visit.complaints.append(f"script: {error}"))
    page.on("request", asked)
    page.set_default_timeout(60_000)
    yield visit
    context.close()
    assert visit.complaints == []
