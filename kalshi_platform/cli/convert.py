"""``kalshi-platform dataset convert``: a table of other people to a Parquet file for ``dataset build``."""

from pathlib import Path
from typing import Annotated

import typer

from kalshi_platform.cli.given import refuse_beside
from kalshi_platform.cli.options import JsonOption, dataset_beside
from kalshi_platform.data.market_data.importers.convert import EXAMPLES, KINDS, convert_file
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.domain.mistyped import refused_choice
from kalshi_platform.domain.program import command_line


def convert(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(help="CSV, JSON, JSON lines or Parquet", show_default=False)
    ] = None,
    columns: Annotated[
        Path | None,
        typer.Option(
            "--columns",
            help="map of the columns (YAML); needless where their names say all",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="the Parquet file to write", show_default=False)] = None,
    example: Annotated[
        str | None,
        typer.Option(help=f"print a map to begin with: {', '.join(KINDS)}", show_default=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Convert any table with named columns into a Parquet file for `dataset build` (docs/formats.md)."""
    if example is not None:
        why = "it prints a map and converts nothing"
        refuse_beside(context, "beside --example", why, "file", "columns", "out", "as_json")
        kind = next((k for k in KINDS if k == example), None)
        if kind is None:
            raise ContractError(refused_choice("--example", example, KINDS))
        typer.echo(EXAMPLES[kind], nl=False)
        return
    if file is None or out is None:
        raise ContractError(
            "name the file and --out: dataset convert FILE --columns map.yaml --out FILE.parquet"
        )
    done = convert_file(file, columns, out)
    if as_json:
        typer.echo(json_text({**done._asdict(), "out": str(out)}, sort_keys=True))
        return
    typer.echo(f"{out}: {done.n_rows:,} rows of {done.kind}, {done.n_markets:,} markets")
    for name, n in done.counters.items():
        typer.echo(f"  {name}: {n:,}")
    typer.echo(f"build it: {command_line('dataset', 'build', '--input', out, '--out', dataset_beside(out))}")
