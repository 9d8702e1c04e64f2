"""The pictures of the pages in docs/images, taken from a running demo: `make screenshots`."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from local.demo import DemoError
from local.demo.config import ROOT, Config, read_addresses
from local.demo.databases import query
from local.demo.web import call

IMAGES = ROOT / "docs" / "images"
DESK = (1200, 800)
PHONE = (390, 780)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True, slots=True)
class Picture:
    """One page as it is shown in docs."""

    name: str
    path: str
    scheme: str = "light"
    size: tuple[int, int] = DESK
    press: str = ""  # a button that is pressed first


PICTURES = (
    Picture("overview", "/", size=(1200, 1120)),
    Picture("overview-phone", "/", size=PHONE),
    Picture("person", "/person/{person}"),
    Picture("person-dark", "/person/{person}", scheme="dark"),
    Picture("compliance", "/compliance"),
    Picture("held", "/held"),
    Picture("decisions", "/audit/decisions?code.op=eq&code=SHARED_RECORD"),
    Picture("preflight", "/preflight", press="Check now"),
    Picture("settings", "/settings"),
)


def main() -> int:
    """Take every picture; returns the exit status."""
    try:
        addresses = read_addresses(Config.from_environment())
    except DemoError as error:
        print(error, file=sys.stderr)
        return 1
    IMAGES.mkdir(exist_ok=True)
    person = _somebody(addresses.store)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium(), args=["--no-sandbox"])
        for picture in PICTURES:
            with _window(browser, addresses.airflow, picture) as page:
                page.goto(f"{addresses.airflow}/opt-out-sync{picture.path.format(person=person)}")
                if picture.press:
                    page.get_by_role("button", name=picture.press).click()
                    page.get_by_role("status").wait_for()
                print(_save(page, IMAGES / f"{picture.name}.png"))
        browser.close()
    return 0


@contextmanager
def _window(browser: Browser, airflow: str, picture: Picture) -> Iterator[Page]:
    width, height = picture.size
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if picture.scheme == "dark" else "light",
        timezone_id="America/Los_Angeles",
        locale="en-US",
    )
    token = str(call("GET", f"{airflow}/auth/token")["access_token"])
    context.add_cookies([{"name": "_token", "value": token, "url": airflow}])
    yield context.new_page()
    context.close()


def _save(page: Page, path: Path) -> str:
    """Write a picture with few colours: half the bytes, and nobody sees the difference."""
    whole = Image.open(BytesIO(page.screenshot(animations="disabled")))
    whole.convert("RGB").quantize(128).save(path, optimize=True)
    return f"{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes"


def _somebody(store: str) -> int:
    """Name a person with a story: both sides wrote, and somebody shares the record."""
    rows = query(
        store,
        "SELECT person_id FROM opt_out_sync.merge_audit WHERE code = 'SHARED_RECORD'"
        " ORDER BY person_id LIMIT 1",
    )
    return int(rows[0][0]) if rows else 1


def _chromium() -> str | None:
    """Return the machine's Chromium; None: the one of `playwright install chromium`."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


if __name__ == "__main__":
    sys.exit(main())
