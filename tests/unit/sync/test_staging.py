from datetime import UTC, date, datetime

import pandas as pd
import pytest
from upath import UPath

from include.sync.staging import Stage, StagingIncompleteError, expire

AT = datetime(2026, 11, 23, 4, tzinfo=UTC)


@pytest.fixture(params=["file", "memory"])
def root(request, tmp_path):
    """A folder, and an object store that has no folders of its own."""
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


def test_nobody_but_the_owner_can_look_into_the_files_of_a_run(tmp_path):
    stage = stage_of(UPath(tmp_path / "staging"))
    write(stage)
    assert stage.prefix.stat().st_mode & 0o077 == 0
