from datetime import UTC, date, datetime

import pandas as pd
import pytest
from upath import UPath

from include.sync.staging import Stage, StagingIncompleteError, expire
from tests.object_store import running_object_store

AT = datetime(2026, 11, 23, 4, tzinfo=UTC)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with running_object_store(tmp_path_factory.mktemp("s3")) as store:
        yield store


@pytest.fixture(params=["file", "memory", "s3"])
def root(request, tmp_path):
    """A folder, and object stores, which have no folders of their own."""
    if request.param == "s3":
        return request.getfixturevalue("store").path(tmp_path.name)
    return UPath(tmp_path) if request.param == "file" else UPath(f"memory://{tmp_path}")


def stage_of(root, night=date(2026, 11, 22)):
    return Stage(root, night, sync_run_id=7)


def write(stage, rows=3, declared=3):
    with stage.prepare("people").open("wb") as file:
        pd.DataFrame({"person_id": range(rows)}).to_parquet(file)
    if declared is not None:
        stage.complete("people", declared, AT)


def test_a_complete_file_is_read_back_as_it_was_written(root):
    write(stage_of(root))
    assert stage_of(root).read("people")["person_id"].tolist() == [0, 1, 2]


def test_a_file_without_its_manifest_is_not_read(root):
    write(stage_of(root), declared=None)
    with pytest.raises(StagingIncompleteError, match="clear the night"):
        stage_of(root).read("people")


def test_a_file_with_other_rows_than_declared_is_not_read(root):
    write(stage_of(root), declared=4)
    with pytest.raises(StagingIncompleteError, match="cut short"):
        stage_of(root).read("people")


def test_a_second_attempt_takes_the_old_manifest_away_first(root):
    write(stage_of(root))
    write(stage_of(root), rows=5, declared=None)
    with pytest.raises(StagingIncompleteError):
        stage_of(root).read("people")


def test_only_nights_older_than_two_weeks_expire(root):
    for day in (7, 8, 22):
        write(stage_of(root, date(2026, 11, day)))
    assert expire(root, tonight=date(2026, 11, 22)) == 1
    assert expire(root, tonight=date(2026, 11, 22)) == 0
    assert sorted(folder.name for folder in root.iterdir()) == [
        "night=2026-11-08",
        "night=2026-11-22",
    ]


def test_where_nothing_was_staged_nothing_expires(root):
    assert expire(root / "never", tonight=date(2026, 11, 22)) == 0


def test_a_frame_is_written_whole_and_again(root):
    for rows in (3, 5):
        stage_of(root).write("people", pd.DataFrame({"person_id": range(rows)}), AT)
    assert len(stage_of(root).read("people")) == 5
    files = sorted(path.name for path in stage_of(root).prefix.iterdir())
    assert files == ["people.manifest.json", "people.parquet"]


def test_nobody_but_the_owner_can_look_into_the_files_of_a_run(tmp_path):
    stage = stage_of(UPath(tmp_path / "staging"))
    write(stage)
    assert stage.prefix.stat().st_mode & 0o077 == 0
