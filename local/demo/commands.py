"""What a person does while the demo is up, from a second terminal."""

import time
from collections.abc import Callable

from local.demo import DemoError, night, push
from local.demo.agreement import check_agreement
from local.demo.airflow_api import AirflowApi
from local.demo.config import Config, read_addresses
from local.demo.console import Console
from local.demo.emulator import Emulator
from local.demo.launch import tell_night
from local.demo.web import HttpError
from local.sample_data import FIELD


def unsubscribe(config: Config, person_id: int) -> None:
    """A person clicks the link in a mail."""
    store, console = read_addresses(config).store, Console()
    clicked = push.click(store, person_id)
    console.say(f"Person {person_id} unsubscribed in the store (act {clicked.act_id}).")
    arrived = push.arrival(store, clicked, _wait)
    if arrived is None:
        console.say(f"No push has told Salesforce yet: is DAG {push.DAG_ID} switched on?")
    elif arrived.record_id is None:
        console.say("There was nothing to tell Salesforce.")
    else:
        console.say(f"Salesforce knew {arrived.seconds:.2f} s later ({arrived.record_id}).")


def set_box(config: Config, record_id: str, *, is_ticked: bool) -> None:
    """A colleague ticks or clears the opt-out box of a record."""
    try:
        Emulator(read_addresses(config).emulator).edit({record_id: {FIELD: is_ticked}})
    except HttpError as error:
        raise DemoError(f"Salesforce refuses to change {record_id!r}: {error}") from error
    what = "ticked" if is_ticked else "cleared"
    Console().say(f"A colleague {what} the box of {record_id} in Salesforce.")


def set_visibility(config: Config, object_name: str, *, is_visible: bool) -> None:
    """An admin shows or hides the opt-out field of an object for the sync's user."""
    emulator = Emulator(read_addresses(config).emulator)
    emulator.set_field_access(object_name, FIELD, is_visible=is_visible)
    what = "shows" if is_visible else "hides"
    Console().say(f"An admin {what} {FIELD} of {object_name} (field-level security).")


def run_night(config: Config) -> int:
    """Run a night and tell about it; returns 1 if it was red."""
    addresses, console = read_addresses(config), Console()
    airflow = AirflowApi(addresses.airflow)
    with console.step("One night") as step:
        runs = night.run_night(airflow, _wait)
        failures = night.describe_failures(airflow, runs, config)
        step.result = "red" if failures else "green"
    emulator = Emulator(addresses.emulator)
    agreement = check_agreement(addresses.store, emulator)
    tell_night(console, addresses.store, emulator, runs, failures, agreement)
    return 1 if failures else 0


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True
