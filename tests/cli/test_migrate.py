"""`migrate` up and down: what somebody types before and after an upgrade that has to be undone."""

import pytest
from sqlalchemy import text

from include.migrations.upgrade import head, revisions


def revision_of(engine):
    with engine.connect() as conn:
        return conn.execute(
            text("SELECT version_num FROM opt_out_sync.opt_out_alembic_version")
        ).scalar_one()


def test_the_tables_go_back_to_an_older_release_and_forward_again(engine, say):
    *_, older, newest = revisions()
    assert (newest, revision_of(engine)) == (head(), head())
    back = say("migrate", "--down-to", older)
    assert (back.status, revision_of(engine)) == (0, older)
    assert f"revision {older}" in back.out
    assert say("migrate").status == 0
    assert revision_of(engine) == newest


@pytest.mark.parametrize("unknown", ["9999", "base", "head", "-1"])
def test_a_revision_that_this_release_does_not_have_is_refused_and_nothing_is_undone(
    engine, say, unknown
):
    answer = say("migrate", f"--down-to={unknown}")
    assert answer.status == 1
    assert "use the release that is installed now" in answer.err
    assert revision_of(engine) == head()


def test_going_back_to_where_it_is_changes_nothing(engine, say):
    assert say("migrate", "--down-to", head()).status == 0
    assert revision_of(engine) == head()
