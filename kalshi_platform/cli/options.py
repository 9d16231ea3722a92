"""Options that several commands share: one wording each."""

from typing import Annotated

import typer

JsonOption = Annotated[bool, typer.Option("--json", help="one JSON value on stdout instead of text")]
RegistryOption = Annotated[
    str | None,
    typer.Option(
        "--registry",
        help="a folder or s3://bucket/prefix  [default: $KALSHI_PLATFORM_REGISTRY, "
        "else ~/.local/share/kalshi-platform/registry]",
    ),
]
