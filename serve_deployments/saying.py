"""Lines about a service on this machine, for whoever started it."""

import sys


def say(text: str) -> None:
    """Print ``text`` on stderr."""
    print(f"kalshi-platform serve: {text}", file=sys.stderr, flush=True)
