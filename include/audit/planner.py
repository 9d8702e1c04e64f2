"""How PostgreSQL plans the statements about a whole run."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text


@contextmanager
def for_many_rows(conn: Connection) -> Iterator[None]:
    """Plan the statements of the block as if they met many rows.

    Statistics know nothing yet of what a run has just added: the planner takes a million rows for
    one, and would compare each with each (two minutes for 50,000 rows, against one second).
    """
    conn.execute(text("SET LOCAL enable_nestloop = off"))
    yield
    conn.execute(text("SET LOCAL enable_nestloop TO DEFAULT"))


@contextmanager
def without_compiling(conn: Connection) -> Iterator[None]:
    """Run the statements of the block as they are planned.

    A plan over all months of the audit looks dear, and PostgreSQL then compiles it: for seconds, to
    read some rows.
    """
    conn.execute(text("SET LOCAL jit = off"))
    yield
    conn.execute(text("SET LOCAL jit TO DEFAULT"))
