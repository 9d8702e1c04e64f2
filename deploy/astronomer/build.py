"""Lays this project out as an Astro project: what `astro deploy` reads in the folder it is run in.

    python deploy/astronomer/build.py FOLDER

How to use it: docs/deploy-astronomer.md. The project's own requirements.txt cannot serve there: it
pins Airflow itself, and Astro Runtime brings Astronomer's build of it.
"""

import argparse
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SOURCES = ("dags", "include", "plugins")
FILES = ("Dockerfile", "requirements.txt", "packages.txt", ".dockerignore")


def main() -> int:
    """Build into a folder, which is created; what an earlier build left there is replaced."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    build(parser.parse_args().folder)
    return 0


def build(folder: Path) -> None:
    """Write the project. What the Astro CLI keeps there (`.astro`, `.env`) is left alone."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in SOURCES:
        shutil.rmtree(folder / name, ignore_errors=True)
        shutil.copytree(
            ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
        )
    for name in FILES:
        shutil.copy(HERE / name, folder)


if __name__ == "__main__":
    sys.exit(main())
