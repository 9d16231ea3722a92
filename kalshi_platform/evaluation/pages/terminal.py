"""Tables on a terminal, or whole in a file or a pipe."""

from pathlib import Path
from typing import Final

from rich.console import Console, RenderableType

#: Columns where stdout is no terminal: what the widest of our tables needs.
LOG_WIDTH: Final = 160


def output() -> Console:
    """Stdout: as wide as the terminal, or as our tables need where there is none."""
    console = Console()
    return console if console.is_terminal else Console(width=LOG_WIDTH)


def show(view: RenderableType, page: Path | None = None) -> None:
    """Print ``view`` and, where there is one, the path of its page in one piece."""
    console = output()
    console.print(view)
    if page is not None:
        console.print(f"report: {page}", soft_wrap=True)


def tell(line: str) -> None:
    """Print a line about the work on stderr, as it is, so that stdout carries the result only."""
    Console(stderr=True).print(line, highlight=False, markup=False, soft_wrap=True)
