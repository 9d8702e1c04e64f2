"""Supervise the shell commands given as arguments, so that tests can send signals to it."""

import os
import signal
import sys
from pathlib import Path

from local.supervisor import ChildDiedError, StopRequestedError, Supervisor


def main() -> int:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may have said `nohup`
    record, logs, *commands = sys.argv[1:]
    try:
        with Supervisor(Path(record), Path(logs), grace=1.0) as supervisor:
            for number, command in enumerate(commands):
                supervisor.start(f"child-{number}", ["sh", "-c", command], os.environ)
            print("started", flush=True)
            supervisor.wait_until(lambda: False, timeout=60)
    except StopRequestedError as stop:
        return 128 + stop.signal_number
    except ChildDiedError as death:
        print(death, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
