"""Files that have their name only when they are whole, on a disk and in an object store."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

from upath import UPath


@contextmanager
def whole_file(destination: UPath) -> Iterator[BinaryIO]:
    """Write a file that appears when the block has ended well; an existing one is replaced.

    A block that fails, or is killed, leaves what was there before.
    """
    with (_renamed if is_on_disk(destination) else _uploaded)(destination) as file:
        yield file


def is_on_disk(path: UPath) -> bool:
    """Tell a folder of this machine from an object store."""
    return isinstance(path, Path) or path.protocol in ("", "file", "local")


@contextmanager
def _renamed(destination: UPath) -> Iterator[BinaryIO]:
    destination.parent.mkdir(parents=True, exist_ok=True)
    part = Path(destination.path).with_name(f".{destination.name}.{uuid4().hex}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(destination.path)  # atomic, and the same on Windows
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _uploaded(destination: UPath) -> Iterator[BinaryIO]:
    """Upload in parts, and say at the end that they are an object.

    An object store has no rename: it would copy every byte and delete the first copy. What a killed
    process has uploaded is not an object, and never becomes one. Nor has it folders: whoever makes
    one makes a bucket that is missing.
    """
    file: Any = destination.open("wb", autocommit=False)  # of any store, beyond BinaryIO
    try:
        with file:
            yield file
    except BaseException:
        file.discard()
        raise
    file.commit()
