"""Records of a batch out of JSON, CSV and XML: names and values, still as the client wrote them."""

from __future__ import annotations

import csv
import io
import json
from typing import Any
from xml.etree import ElementTree as ET

from local.salesforce_emulator.bulk_progress import JobFailedError
from local.salesforce_emulator.soap import document_of

Record = dict[str, Any]
_NULL = "#N/A"  # sets a field to nothing; an empty value leaves it alone [documented]


def records(body: bytes, content_type: str) -> list[Record]:
    """Return the records of a batch.

    Raises:
        JobFailedError: the body cannot be read: the whole batch fails [documented code].
    """
    try:
        return {"JSON": _json, "CSV": _csv, "XML": _xml}[content_type](body)
    except (ValueError, ET.ParseError, csv.Error) as error:
        message = f"InvalidBatch : Unable to parse {content_type}"  # [assumed wording]
        raise JobFailedError(message) from error


def _json(body: bytes) -> list[Record]:
    """Read JSON, where null is a value and an absent key leaves the field alone."""
    found = json.loads(body)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise ValueError("a batch is a list of objects")
    return found


def _csv(body: bytes) -> list[Record]:
    reader = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""))
    header = next(reader, [])
    rows = [row for row in reader if row]
    if any(len(row) != len(header) for row in rows):
        raise ValueError("a row has not as many values as the header")
    return [_without_empty(dict(zip(header, row, strict=True))) for row in rows]


def _without_empty(record: Record) -> Record:
    return {
        name: None if value == _NULL else value for name, value in record.items() if value != ""
    }


def _xml(body: bytes) -> list[Record]:
    root = ET.fromstring(body)  # noqa: S314 - see soap.py
    found = [document_of(child) for child in root]
    if not all(isinstance(each, dict) for each in found):
        raise ValueError("a batch is a list of sObjects")
    return found
