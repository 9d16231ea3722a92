"""An observation that a model was really shown on the events that judged it: the example a service offers.

Layout     models/<id>/example.json, beside the record; written once, when the model is registered
Units      numbers as the feature table bounds them, in the order of ``columns``
Not        part of the model: one without an example, or with a damaged one, is served all the same.
"""

import json
from typing import Final

from pydantic import Field

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.models.registry.store import Registry

EXAMPLE_NAME: Final = "example.json"


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
    if EXAMPLE_NAME not in registry.files(model):
        registry.add_files(model, {EXAMPLE_NAME: (example.model_dump_json() + "\n").encode()})


def read_example(registry: Registry, model: str) -> Example | None:
    """The example of ``model``; None where none was kept, DataError where it is damaged."""
    if EXAMPLE_NAME not in registry.files(model):
        return None
    try:
        return Example.parse(json.loads(registry.file(model, EXAMPLE_NAME, None)))
    except (ValueError, ContractError) as err:
        raise DataError(f"{registry.uri}: {model}/{EXAMPLE_NAME} is damaged ({err}); remove it") from None
