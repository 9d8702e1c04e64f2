"""A plan of PostgreSQL in a few lines: what is read, by which index, how many rows."""

from __future__ import annotations

from typing import Any, Final

Plan = dict[str, Any]

MOST: Final = 3
"""Parts of a partitioned table that are shown; the others are counted."""


def told(plan: Plan, depth: int = 0) -> list[str]:
    """Return a line per node; parts of a partitioned table that were never read are counted."""
    lines = [f"{'  ' * depth}{_line(plan)}"]
    children = plan.get("Plans", [])
    read = [each for each in children if each["Actual Loops"]]
    shown = read
    if plan["Node Type"] in {"Append", "Merge Append"} and len(children) > MOST:
        shown = sorted(read, key=_rows, reverse=True)[:1]
        rest = len(read) - len(shown)
        also = f"… {rest} more parts in the same way, " if rest else "… "
        lines.append(f"{'  ' * (depth + 1)}{also}{len(children) - len(read)} never read")
    for each in shown:
        lines += told(each, depth + 1)
    return lines


def _line(plan: Plan) -> str:
    index, relation = plan.get("Index Name"), plan.get("Relation Name")
    backward = " backward" if plan.get("Scan Direction") == "Backward" else ""
    place = f" by {index}{backward}" if index else ""
    table = f" on {relation}" if relation else ""
    kind = f"{plan['Join Type'].lower()} " if plan.get("Join Type", "Inner") != "Inner" else ""
    loops = plan["Actual Loops"]
    rows = f"{_rows(plan):,.0f} rows"
    times = f", {loops:,} times" if loops > 1 else ""
    return f"{kind}{plan['Node Type']}{table}{place}: {rows}{times}"


def _rows(plan: Plan) -> float:
    return float(plan["Actual Rows"] * plan["Actual Loops"])
