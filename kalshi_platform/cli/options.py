"""Options that several commands share, and options that a settings model declares: one wording each."""

import inspect
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, get_type_hints

import typer
from annotated_types import Ge, Le

from kalshi_platform.cli.option_words import option_words
from kalshi_platform.domain.bounded import bounded_message, shown_value
from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError, StorageError
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
# Filters of markets, the length of a run and alerts: `record` and `trade` follow the same stream.
SeriesOption = Annotated[list[str] | None, typer.Option(help="every market of this series; repeat for more")]
EventOption = Annotated[list[str] | None, typer.Option(help="every market of this event")]
CategoryOption = Annotated[
    list[str] | None, typer.Option(help="every market of this category, such as 'Economics'")
]
MinutesOption = Annotated[
    float | None, typer.Option(min=0.01, help="stop after so long  [default: never]", show_default=False)
]
AlertsOption = Annotated[
    Path | None,
    typer.Option(
        help="file of apprise addresses, one a line  [default: $KALSHI_PLATFORM_ALERTS]", show_default=False
    ),
]
PagePortOption = Annotated[
    int, typer.Option(min=0, max=65_535, help="port of the page on loopback; 0 = any free one")
]
REGISTRY_HELP: Final = (
    "registry of models: a folder or s3://bucket/prefix  [default: $KALSHI_PLATFORM_REGISTRY, else "
    "~/.local/share/kalshi-platform/registry; where that is empty, commands that only read take "
    "runs/quickstart/registry]"
)
RegistryOption = Annotated[
    str | None,
    typer.Option(
        "--registry",
        help=REGISTRY_HELP,
    ),
]
DATASET_HELP: Final = "a built dataset: a folder or s3://bucket/prefix"
DatasetOption = Annotated[str, typer.Option("--dataset", help=DATASET_HELP, show_default=False)]
RunOption = Annotated[
    Path,
    typer.Option(
        "--run",
        help="a training run's folder, of which the best checkpoint is taken, or one checkpoint",
        show_default=False,
    ),
]
INPUT_HELP: Final = "raw recordings: a file or folder; repeat for more"
UseYesPrice = Annotated[
    bool | None,
    typer.Option(
        "--use-yes-price/--no-use-yes-price",
        help="how captures were subscribed, where they do not tell  [default: found out]",
    ),
]


def page_folder(out: Path | None) -> Path | None:
    """Return ``--out``, an option's callback; StorageError where no page could be written there."""
    if out is not None:
        require_page_folder(out)
    return out


def require_page_folder(out: Path) -> None:
    """Refuse a folder into which no page could be written; nothing is made.

    StorageError, asked for at once: not after minutes of work, nor after a test split was opened.
    """
    try:
        there = out.absolute()
        while not there.exists():
            there = there.parent
        is_folder, may_write = there.is_dir(), os.access(there, os.W_OK | os.X_OK)
    except OSError as err:
        raise StorageError(f"{out} cannot hold a page: {err.strerror}; give another --out") from None
    if not (is_folder and may_write):
        wrong = "may not be written" if is_folder else "is a file"
        raise StorageError(f"{out} cannot hold a page: {there} {wrong}; give another --out")


def dataset_beside(recordings: Path) -> Path:
    """Place that a message proposes for the dataset of these recordings: beside them."""
    return recordings.with_name(f"{recordings.name.partition('.')[0]}-dataset")


def parse_assignments(texts: list[str], option: str = "--set") -> dict[str, Any]:
    """``name=value`` pairs of ``option``; values are JSON, or plain text where they are not.

    ContractError for NaN and Infinity, which JSON does not have and Python reads.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ContractError(f"{option} {shown_value(text)} has no '='; write {option} name=value")
        try:
            found[name] = json.loads(value, parse_constant=partial(_refuse_constant, option, name))
        except json.JSONDecodeError:
            found[name] = value
        except (ValueError, RecursionError) as err:  # a number of thousands of digits, lists without end
            shown = f"{option} {shown_value(name)}={shown_value(value)}"
            raise ContractError(
                f"{shown}: no value of a setting ({bounded_message(str(err), 100)})"
            ) from None
    return found


STEPS_SETTING: Final = "train.total_env_steps"


def with_steps(settings: list[str] | None, steps: int | None) -> dict[str, Any]:
    """Settings of ``--set`` with ``--steps`` among them; ContractError where both tell the steps of a run."""
    found = parse_assignments(settings or [])
    if steps is None:
        return found
    if STEPS_SETTING in found:
        raise ContractError(
            f"--steps {steps} and --set {STEPS_SETTING}={found[STEPS_SETTING]} both say how long a run "
            "trains: give one of them"
        )
    return found | {STEPS_SETTING: steps}


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
        self.options = {
            f"{model.__name__}.{field}": names.get(field, f"--{field.replace('_', '-')}").partition("/")[0]
            for field in chosen
        }


def with_fields(command: Callable[..., None]) -> Callable[..., None]:
    """Replace each parameter of ``command`` that is annotated with Fields by the options they declare.

    A value that the model refuses is refused by the name of its option.
    """
    hints = get_type_hints(command, include_extras=True)
    plain: list[inspect.Parameter] = []
    grouped: dict[str, list[inspect.Parameter]] = {}
    options: dict[str, str] = {}
    for name, parameter in inspect.signature(command).parameters.items():
        declared = [m for m in getattr(hints[name], "__metadata__", ()) if isinstance(m, Fields)]
        if declared:
            grouped[name] = declared[0].parameters
            plain += declared[0].parameters
            options |= declared[0].options
        else:
            plain.append(parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY))

    def run(**given: Any) -> None:
        groups = {name: {p.name: given.pop(p.name) for p in group} for name, group in grouped.items()}
        with option_words(options):
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
