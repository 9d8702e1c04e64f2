"""The command line, one module per family of commands: `python -m include.cli --help`.

Exit codes: 0 done, 1 refused (by the database or by a rule), 2 the command cannot be understood.
A command that fails says why in one sentence. Nothing here prints an address.
"""

from include.cli.program import Environment, main, parser

__all__ = ["Environment", "main", "parser"]
