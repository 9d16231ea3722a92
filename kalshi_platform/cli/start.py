"""The first lines of the program: Ctrl-C and SIGTERM end it in words even while modules are imported."""

from kalshi_platform.domain.ending import end_in_words


def main() -> None:
    """Run ``kalshi-platform`` with the arguments of the command line."""
    end_in_words()
    from kalshi_platform.cli.main import app

    app()
