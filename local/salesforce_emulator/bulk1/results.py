"""Results of batches, in the order of their records: JSON, CSV and XML."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from local.salesforce_emulator.bulk1.formats import NAMESPACE
from local.salesforce_emulator.errors import RowError

if TYPE_CHECKING:
    from local.salesforce_emulator.saving import Outcome


def render(outcomes: list[Outcome], content_type: str) -> str:
    """Return the result document of a batch of records."""
    return {"JSON": _json, "CSV": _csv, "XML": _xml}[content_type](outcomes)


def _row(outcome: Outcome) -> dict[str, Any]:
    """Return one result; the keys are those that Airflow's operator reads [captured]."""
    if isinstance(outcome, RowError):
        error = {
            "message": outcome.message,
            "fields": list(outcome.fields),
            "statusCode": outcome.code,
            "extendedErrorDetails": None,
        }
        return {"success": False, "created": False, "id": None, "errors": [error]}
    return {
        "success": True,
        "created": outcome.created,
        "id": outcome.record_id,
        "errors": [],
    }


def _json(outcomes: list[Outcome]) -> str:
    return json.dumps([_row(each) for each in outcomes], ensure_ascii=False)


def _csv(outcomes: list[Outcome]) -> str:
    """Return the recorded columns."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(("Id", "Success", "Created", "Error"))
    for outcome in outcomes:
        if isinstance(outcome, RowError):
            writer.writerow(("", "false", "false", outcome.as_sf_error()))
        else:
            created = str(outcome.created).lower()
            writer.writerow((outcome.record_id, "true", created, ""))
    return text.getvalue()


def _xml(outcomes: list[Outcome]) -> str:
    rows = "".join(map(_xml_row, outcomes))
    return f'<?xml version="1.0" encoding="UTF-8"?><results xmlns="{NAMESPACE}">{rows}</results>'


def _xml_row(outcome: Outcome) -> str:
    if isinstance(outcome, RowError):
        fields = "".join(f"<fields>{escape(name)}</fields>" for name in outcome.fields)
        return (
            f"<result><errors>{fields}<message>{escape(outcome.message)}</message>"
            f"<statusCode>{outcome.code}</statusCode></errors><success>false</success>"
            "<created>false</created></result>"
        )
    return (
        f"<result><id>{outcome.record_id}</id><success>true</success>"
        f"<created>{str(outcome.created).lower()}</created></result>"
    )
