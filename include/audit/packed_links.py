"""Links on their way out of the database: every word and flag of a link in one number.

A million links are read in two thirds of the time, because PostgreSQL writes and the driver reads
five columns instead of ten, and three texts less per link. The queries `links*.sql` pack; this
unpacks. A word that is not known here packs into null, which the merge refuses: nothing is guessed.
"""

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from include.domain.values import STANDARD_FIELD, SalesforceObject

SCHEMA: Final = pa.schema(
    [
        ("person_id", pa.int64()),
        ("record_id", pa.string()),
        ("object", pa.string()),
        ("field", pa.string()),
        ("base", pa.bool_()),
        ("base_since", pa.timestamp("us", "UTC")),
        ("state", pa.string()),
        ("is_visible", pa.bool_()),
        ("evidence_id", pa.int64()),
        ("flips", pa.int64()),
    ]
)
_FLAGS: Final = pa.array([False, True], pa.bool_())
_BASES: Final = pa.array([False, True, None], pa.bool_())
_STATES: Final = pa.array(["active", "gone", "retired"], pa.string())
_OBJECTS: Final = pa.array(list(SalesforceObject), pa.string())


def unpacked(links: pa.RecordBatch) -> pa.RecordBatch:
    """Return links as they are stored.

    Args:
        links: one row per link: `person_id`, `record_id`, `other_field` (null: Email Opt Out),
            `base_since`, `evidence_id` and `packed`: base (0, 1, 2 for null), 4 times the state,
            16 where the record is visible, 32 where it is a Lead, 64 times the flips.

    Returns:
        One row per link, in the same order: `SCHEMA`; nulls where `packed` is null.
    """
    packed = links["packed"]
    columns = [
        links["person_id"],
        links["record_id"],
        _looked_up(_OBJECTS, packed, 5, 1),
        links["other_field"].fill_null(STANDARD_FIELD),
        _looked_up(_BASES, packed, 0, 3),
        links["base_since"].cast(SCHEMA.field("base_since").type),
        _looked_up(_STATES, packed, 2, 3),
        _looked_up(_FLAGS, packed, 4, 1),
        links["evidence_id"],
        pc.shift_right(packed, 6).cast(pa.int64()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def _looked_up(words: pa.Array, packed: pa.Array, shift: int, mask: int) -> pa.Array:
    return words.take(pc.bit_wise_and(pc.shift_right(packed, shift), mask))
