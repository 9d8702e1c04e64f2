import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def make(*arguments: str) -> str:
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text()
    return set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))


def test_make_alone_lists_every_target_with_what_it_does():
    listed = dict(re.findall(r"^  ([a-z-]+) +(\S.*)$", make(), re.MULTILINE))
    assert set(listed) == targets()
    assert all(len(text) > 10 for text in listed.values())


def test_every_target_is_phony():
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    assert set(phony[1].split()) == targets()


def test_the_ports_are_told_and_can_be_changed():
    assert "AIRFLOW_PORT=8080" in make("help")
    assert "AIRFLOW_PORT=9090" in make("help", "AIRFLOW_PORT=9090")


def test_once_is_an_option_of_the_demo():
    assert "--once" in make("--dry-run", "demo", "ONCE=1")
    assert "--once" not in make("--dry-run", "demo", "ONCE=0")
    assert "--once" not in make("--dry-run", "demo")
