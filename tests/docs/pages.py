"""The documentation as data."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def rows(text: str) -> list[list[str]]:
    """Return the cells of every row of a text's Markdown tables, headings and rules left out."""
    found: list[list[str]] = []
    lines = text.splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        is_row = line.startswith("|") and not re.match(r"\|[-|\s]+\|$", line)
        if is_row and not re.match(r"\|[-|\s]+\|$", following):
            found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def section(text: str, title: str) -> str:
    """Return what stands below a heading, up to the next one of its level."""
    (found,) = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    return str(found)


def code_spans(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", FENCED.sub("", text))


def shell_lines() -> list[tuple[str, str]]:
    """Return every command that a page tells somebody to type, without its comment."""
    return [
        (path.name, line.split("  #")[0].strip())
        for path in PAGES
        for language, block in FENCED.findall(path.read_text(encoding="utf-8"))
        if language == "sh"
        for line in block.splitlines()
        if line.strip() and not line.startswith("#")
    ]
