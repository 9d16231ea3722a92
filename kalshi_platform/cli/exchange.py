"""``kalshi-platform exchange``: what this client uses of the exchange's interface, and whether that changed.

With ``--json`` stdout carries one JSON object only.
"""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from kalshi_platform.cli.command_app import CommandApp
from kalshi_platform.cli.options import JsonOption
from kalshi_platform.domain.errors import ExitCode
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.evaluation.pages.terminal import show

app = CommandApp(help="Compare the exchange's documents with what the client uses.", no_args_is_help=True)


@app.callback()
def exchange() -> None:
    """Compare the exchange's documents with what the client uses."""


@app.command()
def drift(
    files: Annotated[
        list[Path], typer.Argument(help="OpenAPI and AsyncAPI documents, YAML or JSON", show_default=False)
    ],
    as_json: JsonOption = False,
) -> None:
    """List what newer documents add, drop or change; exit code 4 where it is something that the client
    uses."""
    from rich.table import Table

    from kalshi_platform.trading.exchange.coverage import compare_document

    found = {str(path): compare_document(path) for path in files}
    broken = [each for drifts in found.values() for each in drifts if each.is_broken]
    if as_json:
        drifts = {path: [asdict(each) for each in several] for path, several in found.items()}
        sys.stdout.write(json_text({"documents": drifts, "broken": len(broken)}) + "\n")
    else:
        for path, several in found.items():
            table = Table("change", "kind", "name", "use", "was", "now", title=path)
            for each in several:
                table.add_row(each.change, each.kind, each.name, each.use, each.was, each.now)
            show(table if several else f"{path}: as pinned, nothing new")
        show(f"{len(broken)} changes break the client" if broken else "nothing that the client uses changed")
    if broken:
        raise typer.Exit(ExitCode.LIMIT)
