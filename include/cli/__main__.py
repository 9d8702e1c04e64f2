"""Makes `python -m include.cli` run."""

import sys

from include.cli.program import main

if __name__ == "__main__":
    sys.exit(main())
