"""Airflow in a folder that is laid out as some platform does it: what it finds there."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Run in a home of Airflow's: nothing of this checkout is on Python's path.
LOOK = """
import importlib, json, pkgutil, sys
from airflow import plugins_manager
from airflow.dag_processing.dagbag import DagBag
plugins = plugins_manager._get_plugins()
bag = DagBag()
import include, unsubscribe_sync_pages, unsubscribe_sync_push_trigger
for module in pkgutil.walk_packages(include.__path__, "include."):
    if not module.name.endswith(("__main__", "migrations.env")):
        importlib.import_module(module.name)
print(json.dumps({
    "plugins": [plugin.name for plugin in plugins[0]],
    "plugin errors": plugins[1],
    "dags": sorted(bag.dags),
    "dag errors": {**bag.import_errors},
    "include": include.__file__,
    "strays": [
        name for name, module in sys.modules.items()
        if (getattr(module, "__file__", None) or "").startswith(include.__path__[0])
        and name.partition(".")[0] != "include"
    ],
    "pages": unsubscribe_sync_pages.pages().__class__.__name__,
}))
"""


def found_in(home: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """Start Airflow's Python in its home, with this environment and no other."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOOK],
        env={
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "HOME": str(home),
            "PATH": "",
            **environment,
        },
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return {**json.loads(done.stdout.splitlines()[-1]), "home": home}
