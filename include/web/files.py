"""Files that are written while they are read: nothing is held in memory."""

from collections.abc import Callable, Iterator

from sqlalchemy import Connection, Engine
from starlette.responses import StreamingResponse

from include.store.database import transaction


def as_file(
    engine: Engine, pieces: Callable[[Connection], Iterator[bytes]], media_type: str, name: str
) -> StreamingResponse:
    """Answer with a file to keep.

    The first piece is made before the answer begins, so that what is wrong is still said as a page.

    Args:
        engine: the store; one connection is used until the last piece is sent.
        pieces: makes the file.
        media_type: what it is.
        name: that the browser proposes.
    """
    made = _in_transaction(engine, pieces)
    first = next(made, b"")
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(_after(first, made), media_type=media_type, headers=headers)


def _in_transaction(
    engine: Engine, pieces: Callable[[Connection], Iterator[bytes]]
) -> Iterator[bytes]:
    with transaction(engine) as conn:
        yield from pieces(conn)


def _after(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
