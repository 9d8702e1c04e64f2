"""Reads a few records by SOQL over REST: at once, where a Bulk job would take seconds.

Nothing is believed that does not add up, as in `bulk_query`.
"""

from collections.abc import Iterator
from typing import Any, Final

import pandas as pd
import pyarrow as pa

from include.domain.ids import to_18
from include.domain.values import SalesforceObject
from include.salesforce.collections import Collections
from include.salesforce.errors import IncompleteJobError
from include.salesforce.records import (
    Selection,
    column_types,
    records_schema,
    select_all,
    to_records,
    typed_table,
)
from include.salesforce.session import SalesforceSession

# An Id takes 27 bytes of the address; address and headers together may have 16,384, and a token
# can be long. https://help.salesforce.com/s/articleView?id=000386264
IDS_PER_QUERY: Final = 200


def query_all(session: SalesforceSession, soql: str) -> list[dict[str, Any]]:
    """Return every row of a query, deleted and archived ones included.

    Raises:
        IncompleteJobError: pages are missing or go in a circle.
        FieldNotVisibleError: a selected field is hidden or unknown.
        SalesforceRequestError: Salesforce refuses the query.
    """
    page = session.json("GET", "queryAll", repeatable=True, params={"q": soql})
    total, rows = page["totalSize"], list(page["records"])
    seen: set[str] = set()
    while not page["done"]:
        following = str(page["nextRecordsUrl"])
        if following in seen:
            raise IncompleteJobError("the pages of a result go in a circle")
        seen.add(following)
        page = session.json("GET", following, repeatable=True)
        rows += page["records"]
    if len(rows) != total:
        raise IncompleteJobError(f"{len(rows)} records came, {total} were announced")
    return rows


def read_records(session: SalesforceSession, selection: Selection, ids: pd.Series) -> pd.DataFrame:
    """Return `records_schema` of the records that exist; see `client`.

    Ten times as many fit into a request by collections, but deleted ones do not come: what did not
    come is asked for by a query.
    """
    found, left = [], ids
    if len(ids) > IDS_PER_QUERY:
        living = Collections(session, selection.obj.value).rows(ids, list(column_types(selection)))
        found.append(_to_records(list(living.values()), selection))
        left = ids[~ids.isin(list(living))]
    found += [_read_chunk(session, selection, each) for each in id_lists(left)]
    table = pa.concat_tables([records_schema(selection.fields).empty_table(), *found])
    frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
    record_ids = frame["record_id"]
    if record_ids.duplicated().any() or not record_ids.isin(ids).all():
        raise IncompleteJobError("other records came than were asked for")
    return frame


def id_lists(record_ids: pd.Series) -> Iterator[str]:
    """Yield normalised Ids as SOQL lists, few enough for one address each."""
    for start in range(0, len(record_ids), IDS_PER_QUERY):
        chunk = record_ids.iloc[start : start + IDS_PER_QUERY]
        yield "(" + ", ".join(f"'{each}'" for each in chunk) + ")"


def read_predecessors(
    session: SalesforceSession, obj: SalesforceObject, ids: pd.Series
) -> list[str]:
    """Return the records that live on as some of these; see `client`."""
    sources = [(obj.value, "MasterRecordId")]
    if obj is SalesforceObject.CONTACT:
        sources.append((SalesforceObject.LEAD.value, "ConvertedContactId"))
    return [
        to_18(row["Id"])
        for each in id_lists(ids)
        for source, successor in sources
        for row in query_all(
            session,
            f"SELECT Id FROM {source} WHERE {successor} IN {each}",  # noqa: S608  ours
        )
    ]


def _read_chunk(session: SalesforceSession, selection: Selection, ids: str) -> pa.Table:
    return _to_records(query_all(session, f"{select_all(selection)} WHERE Id IN {ids}"), selection)


def _to_records(rows: list[dict[str, Any]], selection: Selection) -> pa.Table:
    return to_records(typed_table(rows, column_types(selection)), selection)
