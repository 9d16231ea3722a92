"""The first lines of the program: Ctrl-C and SIGTERM end it in words even while modules are imported."""

import sys

from kalshi_platform.cli.surroundings import open_streams, require_folder
from kalshi_platform.domain.ending import end_in_words
from kalshi_platform.domain.errors import ContractError


def main() -> None:
    """Run ``kalshi-platform`` with the arguments of the command line."""
    end_in_words()
    open_streams()
    try:
        require_folder()
    except ContractError as error:
        print(f"kalshi-platform: {error}", file=sys.stderr)
        sys.exit(int(error.exit_code))
    from kalshi_platform.cli.main import app

    app()
