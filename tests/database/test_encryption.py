"""A connection to the database that others could read is told."""

import pytest
from sqlalchemy import Engine

from include.store.encryption import weakness, weakness_of


@pytest.mark.parametrize(
    ("is_local", "is_encrypted", "mode", "said"),
    [
        (True, False, "", None),
        (False, False, "prefer", "not encrypted"),
        (False, False, "", "not encrypted"),
        (False, True, "", "nobody verifies"),
        (False, True, "require", "nobody verifies"),
        (False, True, "verify-ca", None),
        (False, True, "verify-full", None),
    ],
)
def test_what_is_wrong_with_a_connection_is_said(
    is_local: bool, is_encrypted: bool, mode: str, said: str | None
) -> None:
    found = weakness_of(is_local=is_local, is_encrypted=is_encrypted, mode=mode)
    assert (found is None) if said is None else said in str(found)


def test_on_this_machine_nothing_is_wrong(engine: Engine) -> None:
    assert weakness(engine) is None
