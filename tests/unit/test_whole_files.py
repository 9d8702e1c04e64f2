"""A file is whole or not there, on a disk and in an object store."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from upath import UPath

from include.whole_files import whole_file
from tests.object_store import BUCKET, running_object_store

ROOT = Path(__file__).parents[2]
PART = 50 * 1024**2  # bytes that s3fs sends at a time
LARGE = os.urandom(PART + PART // 5)
KILLED = """
import json, os, signal, sys
from upath import UPath
from include.whole_files import whole_file
with whole_file(UPath(sys.argv[1], **json.loads(sys.argv[2]))) as file:
    file.write(b"new" * int(sys.argv[3]))
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with running_object_store(tmp_path_factory.mktemp("s3")) as store:
        yield store


@pytest.fixture(params=["disk", "object store"])
def folder(request, tmp_path):
    if request.param == "disk":
        return UPath(tmp_path)
    return request.getfixturevalue("store").path(tmp_path.name)


def names(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def write(path, content):
    with whole_file(path) as file:
        file.write(content)


def fail_after(path, content):
    with whole_file(path) as file:
        file.write(content)
        raise KeyError


@pytest.mark.parametrize("content", [b"", b"few", LARGE], ids=["empty", "small", "in parts"])
def test_a_file_is_there_when_it_is_whole(folder, content):
    write(folder / "below" / "file", content)
    assert (folder / "below" / "file").read_bytes() == content
    assert names(folder / "below") == ["file"]


def test_an_existing_file_is_replaced(folder):
    write(folder / "file", b"old")
    write(folder / "file", b"new")
    assert (folder / "file").read_bytes() == b"new"


@pytest.mark.parametrize("content", [b"new", LARGE], ids=["small", "in parts"])
def test_what_fails_while_it_is_written_leaves_what_was_there(folder, content):
    write(folder / "file", b"old")
    for name in ("file", "never"):
        with pytest.raises(KeyError):
            fail_after(folder / name, content)
    assert names(folder) == ["file"]
    assert (folder / "file").read_bytes() == b"old"


def test_a_bucket_that_is_not_there_is_not_made(store):
    misspelt = UPath("s3://no-such-bucket/below", **store.path("x").storage_options)
    with pytest.raises(FileNotFoundError):
        write(misspelt / "file", b"new")
    assert [each["Name"] for each in store.client.list_buckets()["Buckets"]] == [BUCKET]


def test_a_failed_upload_costs_no_room(store):
    with pytest.raises(KeyError):
        fail_after(store.path("failed") / "file", LARGE)
    assert store.uploads() == []


@pytest.mark.parametrize("size", [1, PART // 2], ids=["small", "in parts"])
def test_a_writer_that_is_killed_leaves_what_was_there(folder, size):
    write(folder / "file", b"old")
    options = json.dumps(dict(folder.storage_options))
    command = [sys.executable, "-c", KILLED, str(folder / "file"), options, str(size)]
    done = subprocess.run(command, cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert (folder / "file").read_bytes() == b"old"
    assert [name for name in names(folder) if not name.startswith(".")] == ["file"]
