"""An observation that a model was really shown on the events that judged it: the example a service offers.

Layout     models/<id>/example-<digest>.json, beside the record; written once, when the model is registered
Units      numbers as the feature table bounds them, in the order of ``columns``
Not        part of the model: one without an example, or with a damaged one, is served all the same.
"""

import re
from typing import Final

from pydantic import Field

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.json_text import json_value
from kalshi_platform.models.registry.store import Registry

_NAME: Final = re.compile(r"example-([0-9a-f]{12})\.json")


class ExampleMarket(Config):
    """One slot of the observation."""

    ticker: str
    row: tuple[float, ...]
    history: tuple[tuple[float, ...], ...] = Field(description="oldest first; empty: no history is read")
    allowed: tuple[str, ...] = Field(description="actions that the environment allowed")


class Example(Config):
    """One group of markets as the environment showed it."""

    version: int = 1
    source: str = Field(description="dataset, split, events and time that it is from, in words")
    columns: tuple[str, ...]
    markets: tuple[ExampleMarket, ...] = Field(min_length=1)


def add_example(registry: Registry, model: str, example: Example) -> None:
    """Keep the example of ``model``; one that is there already stays."""
    if not _names(registry, model):
        name = f"example-{example.digest}.json"
        registry.add_files(model, {name: (example.model_dump_json() + "\n").encode()})


def read_example(registry: Registry, model: str) -> Example | None:
    """The example of ``model``; None where none was kept.

    DataError where it is damaged: no number of it may differ from what the model was shown.
    """
    for name in _names(registry, model):
        found = _read(registry, model, name)
        if f"example-{found.digest}.json" != name:
            raise _damaged(registry, model, name, f"its content has digest {found.digest}")
        return found
    return None


def _read(registry: Registry, model: str, name: str) -> Example:
    try:
        return Example.parse(json_value(registry.file(model, name, None)))
    except (ValueError, ContractError) as err:
        raise _damaged(registry, model, name, str(err)) from None


def _damaged(registry: Registry, model: str, name: str, why: str) -> DataError:
    return DataError(
        f"{registry.uri}: models/{model}/{name} is damaged ({why}): delete it, and register the run again"
    )


def _names(registry: Registry, model: str) -> list[str]:
    return sorted(name for name in registry.files(model) if _NAME.fullmatch(name))
