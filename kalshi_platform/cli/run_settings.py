"""Options about a run's settings that several commands share: ``--preset`` and ``--list-settings``."""

from typing import Annotated, TypeVar

import typer

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.evaluation.pages.terminal import show
from kalshi_platform.learning.training.presets import PRESETS, STANDARD
from kalshi_platform.learning.training.session import RunSettings
from kalshi_platform.learning.training.setting_list import settings_json, settings_table

Value = TypeVar("Value")

PresetOption = Annotated[
    str | None,
    typer.Option(
        "--preset",
        help="settings to start from: " + "; ".join(f"{p.name} = {p.meaning}" for p in PRESETS.values()),
        show_default=STANDARD,
    ),
]
ListSettings = Annotated[
    bool,
    typer.Option(
        "--list-settings", help="show every setting that --set takes (docs/settings.md), and end; --json too"
    ),
]


def list_settings(settings: RunSettings, as_json: bool) -> None:
    """Print every setting: meaning, unit, allowed values, and its value in ``settings`` as the default."""
    if as_json:
        typer.echo(json_text(settings_json(settings)))
    else:
        show(settings_table(settings))


def require_given(value: Value | None, option: str, meaning: str) -> Value:
    """The option's value, which only ``--list-settings`` does without; ContractError where it is missing."""
    if value is None:
        raise ContractError(f"{option} is missing: name {meaning}")
    return value
