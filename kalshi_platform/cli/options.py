"""Options that several commands share, and options that a settings model declares: one wording each."""

import inspect
import json
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, get_type_hints

import typer
from annotated_types import Ge, Le

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.evaluation.pages.terminal import tell


def _begin(verbose: bool) -> bool:
    tell.begin(verbose)
    return verbose


#: Of every command that takes long; the terminal knows it, the command need not ask.
VerboseOption = Annotated[
    bool,
    typer.Option(
        "--verbose", "-v", callback=_begin, help="show every step, and what Ray warns of, on stderr"
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="one JSON value on stdout instead of text")]
RegistryOption = Annotated[
    str | None,
    typer.Option(
        "--registry",
        help="a folder or s3://bucket/prefix  [default: $KALSHI_PLATFORM_REGISTRY, "
        "else ~/.local/share/kalshi-platform/registry]",
    ),
]
UseYesPrice = Annotated[
    bool | None,
    typer.Option(
        "--use-yes-price/--no-use-yes-price",
        help="how captures were subscribed, where they do not tell  [default: found out]",
    ),
]


def parse_assignments(texts: list[str], option: str = "--set") -> dict[str, Any]:
    """``name=value`` pairs of ``option``; values are JSON, or plain text where they are not.

    ContractError for NaN and Infinity, which JSON does not have and Python reads.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ContractError(f"{option} {text!r} has no '='; write {option} name=value")
        try:
            found[name] = json.loads(value, parse_constant=partial(_refuse_constant, option, name))
        except json.JSONDecodeError:
            found[name] = value
    return found


def _refuse_constant(option: str, name: str, value: str) -> None:
    raise ContractError(f"{option} {name}={value}: give a finite number")


class Fields:
    """Fields of a settings model that are options of a command: type, default, bounds and help are its.

    Stands in ``Annotated[dict[str, Any], Fields(...)]``; the command is given field -> value.
    """

    def __init__(self, model: type[Config], *fields: str, **names: str) -> None:
        """``fields`` are called as in the model, others as ``names`` says: ``rate_per_s="--rate"``."""
        chosen = [field for field in model.model_fields if field in fields or field in names]
        self.parameters = [_parameter(model, field, names.get(field)) for field in chosen]


def with_fields(command: Callable[..., None]) -> Callable[..., None]:
    """Replace each parameter of ``command`` that is annotated with Fields by the options they declare."""
    hints = get_type_hints(command, include_extras=True)
    plain: list[inspect.Parameter] = []
    grouped: dict[str, list[inspect.Parameter]] = {}
    for name, parameter in inspect.signature(command).parameters.items():
        declared = [m for m in getattr(hints[name], "__metadata__", ()) if isinstance(m, Fields)]
        if declared:
            grouped[name] = declared[0].parameters
            plain += declared[0].parameters
        else:
            plain.append(parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY))

    def run(**given: Any) -> None:
        groups = {name: {p.name: given.pop(p.name) for p in group} for name, group in grouped.items()}
        command(**groups, **given)

    run.__signature__ = inspect.Signature(plain)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in plain}
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    return run


def _parameter(model: type[Config], name: str, option: str | None) -> inspect.Parameter:
    field = model.model_fields[name]
    bounds: dict[str, Any] = {
        "min": next((m.ge for m in field.metadata if isinstance(m, Ge)), None),
        "max": next((m.le for m in field.metadata if isinstance(m, Le)), None),
    }
    declared = typer.Option(*filter(None, [option]), help=field.description, **bounds)
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=field.default,
        annotation=Annotated[field.annotation, declared],
    )  # fmt: skip
