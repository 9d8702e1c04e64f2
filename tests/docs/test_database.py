"""What docs/database.md says of limits is what connections get, and its queries are answered."""

import re
from datetime import timedelta

from sqlalchemy import text

from include.migrations.upgrade import LOCK_SECONDS
from include.store.database import PAGE, TASK
from tests.docs.pages import page, rows

DATABASE = page("docs/database.md")
UNITS = {"second": 1, "minute": 60, "hour": 3600}


def seconds(said: str) -> int:
    """Read `10 minutes` and the like; `none` is for ever."""
    number, _, unit = said.partition(" ")
    one = UNITS.get(unit.removesuffix("s"))
    return 0 if one is None else int(timedelta(seconds=int(number) * one).total_seconds())


def test_the_limits_of_the_page_are_those_of_the_code():
    said = {cells[0].strip("`"): [seconds(each) for each in cells[1:4]] for cells in rows(DATABASE)}
    assert said["statement_timeout"] == [TASK.statement, PAGE.statement, 0]
    assert said["lock_timeout"] == [TASK.lock, PAGE.lock, LOCK_SECONDS]
    assert said["idle_in_transaction_session_timeout"] == [TASK.idle, PAGE.idle, TASK.idle]


def test_every_query_of_the_page_is_answered(engine):
    (block,) = re.findall(r"```sql\n(.*?)```", DATABASE, flags=re.DOTALL)
    queries = [each for each in block.split(";") if each.strip()]
    assert len(queries) >= 5
    with engine.begin() as conn:
        for query in queries:
            conn.execute(text(query))
