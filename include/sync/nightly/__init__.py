"""The night, one function per task: extract → split → decide → merge → load → verify → close.

Every function enters its step first. A step that finished before returns its counts and does
nothing; a step that was killed starts again. What a step writes to the database and that it is
finished are committed together, under a fence: an attempt that was superseded writes nothing.
"""

from include.sync.nightly.clears import load_clears
from include.sync.nightly.close import close
from include.sync.nightly.decide import decide
from include.sync.nightly.extract import extract_records, extract_store
from include.sync.nightly.load import load_salesforce, load_store
from include.sync.nightly.merge import merge
from include.sync.nightly.split import split
from include.sync.nightly.verify import verify

__all__ = [
    "close",
    "decide",
    "extract_records",
    "extract_store",
    "load_clears",
    "load_salesforce",
    "load_store",
    "merge",
    "split",
    "verify",
]
