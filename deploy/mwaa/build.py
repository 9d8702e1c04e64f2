"""Builds what Amazon MWAA reads from its bucket: dags/, plugins.zip, requirements.txt, startup.sh.

    python deploy/mwaa/build.py FOLDER --staging s3://bucket/prefix

How to use it: docs/deploy-mwaa.md. MWAA unpacks `plugins.zip` into Airflow's plugins folder, which
is on Python's path in every component; so `include` lies there, and an `.airflowignore` keeps
Airflow from loading its modules as plugins. The same sources make the same archive, byte for byte:
upload it only when it changed, because each new version of it restarts the environment.
"""

import argparse
import shlex
import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CONSTRAINTS = "opt_out_sync_constraints.txt"
IGNORED = "include/\n"  # a glob, as Airflow 3 reads the file
SAME_TIME = (1980, 1, 1, 0, 0, 0)


def main() -> int:
    """Build into a folder, which is created or cleared."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--staging", required=True, help="OPT_OUT_SYNC_STAGING: s3://bucket/prefix")
    options = parser.parse_args()
    if not options.staging.startswith("s3://"):
        parser.error("--staging must be s3://…: MWAA's workers share no disk")
    build(options.folder, options.staging)
    return 0


def build(folder: Path, staging: str) -> None:
    """Write the four things. What an earlier build left in the folder is removed first."""
    if folder.exists():
        shutil.rmtree(folder)
    dags = folder / "dags"
    dags.mkdir(parents=True)
    for source in sorted((ROOT / "dags").glob("*.py")):
        shutil.copy(source, dags)
    shutil.copy(HERE / "constraints.txt", dags / CONSTRAINTS)
    shutil.copy(HERE / "requirements.txt", folder)
    _archive(folder / "plugins.zip")
    startup = (HERE / "startup.sh").read_text().replace("@STAGING@", shlex.quote(staging))
    (folder / "startup.sh").write_text(startup)


def _archive(destination: Path) -> None:
    with zipfile.ZipFile(destination, "w", zipfile.ZIP_DEFLATED) as archive:
        _add(archive, ".airflowignore", IGNORED.encode())
        for source, name in sorted(_sources()):
            _add(archive, name, source.read_bytes())


def _sources() -> Iterator[tuple[Path, str]]:
    for source in (ROOT / "plugins").glob("*.py"):
        yield source, source.name
    for source in (ROOT / "include").rglob("*"):
        if source.is_file() and "__pycache__" not in source.parts:
            yield source, source.relative_to(ROOT).as_posix()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, SAME_TIME)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16  # readable by Airflow's user, whatever the umask here
    archive.writestr(entry, content)


if __name__ == "__main__":
    sys.exit(main())
