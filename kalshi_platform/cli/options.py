"""Options that several commands share: one wording each, one way to read them."""

import json
from typing import Annotated, Any

import typer

from kalshi_platform.domain.errors import ContractError

JsonOption = Annotated[bool, typer.Option("--json", help="one JSON value on stdout instead of text")]
RegistryOption = Annotated[
    str | None,
    typer.Option(
        "--registry",
        help="a folder or s3://bucket/prefix  [default: $KALSHI_PLATFORM_REGISTRY, "
        "else ~/.local/share/kalshi-platform/registry]",
    ),
]


def parse_assignments(texts: list[str], option: str = "--set") -> dict[str, Any]:
    """``name=value`` pairs of ``option``; values are JSON, or plain text where they are not."""
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ContractError(f"{option} {text!r} has no '='; write {option} name=value")
        try:
            found[name] = json.loads(value)
        except json.JSONDecodeError:
            found[name] = value
    return found
