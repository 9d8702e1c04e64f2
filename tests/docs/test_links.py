"""Every link between pages and files leads somewhere."""

import re

import pytest

from tests.docs.pages import FENCED, PAGES, ROOT

LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
LINKS = [
    (path, target)
    for path in PAGES
    for target in dict.fromkeys(LINK.findall(FENCED.sub("", path.read_text(encoding="utf-8"))))
    if not target.startswith(("http://", "https://"))
]


def anchors(text):
    """Return the anchors that GitHub gives to headings."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    ("path", "target"), LINKS, ids=[f"{path.relative_to(ROOT)}: {target}" for path, target in LINKS]
)
def test_a_link_leads_somewhere(path, target):
    file, _, anchor = target.partition("#")
    there = (path.parent / file).resolve() if file else path
    assert there.is_relative_to(ROOT)
    assert there.exists()
    if anchor:
        assert anchor in anchors(there.read_text(encoding="utf-8"))


def test_every_page_can_be_reached_from_the_index():
    index = ROOT / "docs/index.md"
    reached = {(path.parent / target).resolve() for path, target in LINKS if path == index}
    pages = set(PAGES) - {index}
    assert pages <= reached
