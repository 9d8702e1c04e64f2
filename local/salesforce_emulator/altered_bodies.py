"""Answers that arrive whole and are wrong: what proxies, encodings and old bugs make of them."""

from __future__ import annotations

import csv
import io
import json
import random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.salesforce_emulator.faults import Fault

    _Rearrangement = Callable[[list[Any], Fault], list[Any]]

BOM = b"\xef\xbb\xbf"


def altered(body: bytes, content_type: str, fault: Fault) -> bytes:
    """Return the body as the fault leaves it; a body without rows loses or repeats nothing."""
    if fault.action == "bom":
        return BOM + body
    if fault.action == "crlf":
        return body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    if fault.action == "nul_bytes":
        return body.replace(b"\n", b"\x00\n", 1 + fault.rows)
    if fault.action == "headers":
        return body
    rearrange = _REARRANGEMENTS[fault.action]
    return _of_json(body, rearrange, fault) if "json" in content_type else _of_csv(
        body, rearrange, fault
    )  # fmt: skip


def _shuffled(rows: list[Any], fault: Fault) -> list[Any]:
    mixed = list(rows)
    random.Random(fault.seed).shuffle(mixed)  # noqa: S311 - repeatable, not a secret
    return mixed


def _cut(rows: list[Any], fault: Fault) -> list[Any]:
    return rows[: max(0, len(rows) - fault.rows)]


def _repeated(rows: list[Any], fault: Fault) -> list[Any]:
    return rows + rows[: fault.rows]


_REARRANGEMENTS: dict[str, _Rearrangement] = {
    "shuffle_rows": _shuffled,
    "cut_rows": _cut,
    "repeat_rows": _repeated,
}


def _of_json(body: bytes, rearrange: _Rearrangement, fault: Fault) -> bytes:
    document = json.loads(body or b"null")
    if isinstance(document, list):
        document = rearrange(document, fault)
    elif isinstance(document, dict) and isinstance(document.get("records"), list):
        document["records"] = rearrange(document["records"], fault)
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _of_csv(body: bytes, rearrange: _Rearrangement, fault: Fault) -> bytes:
    head, newline, rest = body.partition(b"\n")
    rows = list(csv.reader(io.StringIO(rest.decode("utf-8"), newline="")))
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows(rearrange(rows, fault))
    return head + newline + out.getvalue().encode()
