"""The list of a run's settings, for the terminal, as JSON, and as the page docs/settings.md.

    python -m kalshi_platform.learning.training.setting_list > docs/settings.md

Source   the fields of the settings themselves; a test fails while the page differs from this module's.
"""

import sys
from typing import Any, Final

from rich.table import Table

from kalshi_platform.data.features.spec import ROW_FEATURE_SETS
from kalshi_platform.domain.setting import Setting, settings_of
from kalshi_platform.learning.training.presets import PRESETS
from kalshi_platform.learning.training.session import RunSettings
from kalshi_platform.models.networks.levels import LEVELS

#: Allowed values that a table of the program, not the field's type, decides.
_CHOICES: Final = {
    "train.level": " or ".join(LEVELS),
    "env.groups": "a list of " + ", ".join(ROW_FEATURE_SETS),
}
_SECTIONS: Final = {
    "env": "the environment: markets, orders, fees, reward",
    "episodes": "the stretches of replay that training plays",
    "curriculum": "the order in which markets are met",
    "train": "PPO, sampling, validation, length of the run",
}
_COLUMNS: Final = ("setting", "meaning", "unit", "default", "allowed")


def run_settings(settings: RunSettings) -> tuple[Setting, ...]:
    """Every setting that ``--set`` takes, with the values of ``settings`` as its defaults."""
    values = settings.model_dump(mode="json")
    return tuple(
        setting._replace(allowed=_CHOICES.get(setting.name, setting.allowed))
        for setting in settings_of(RunSettings, values).values()
    )


def settings_json(settings: RunSettings) -> list[dict[str, Any]]:
    """The list as JSON values."""
    return [setting._asdict() for setting in run_settings(settings)]


def settings_table(settings: RunSettings) -> Table:
    """The list for the terminal."""
    table = Table(title=f"settings of a run, for --set NAME=VALUE; the defaults: {settings.in_words}")
    for column in _COLUMNS:
        table.add_column(column, overflow="fold", no_wrap=column == "setting")
    for setting in run_settings(settings):
        table.add_row(*_cells(setting))
    return table


def settings_page() -> str:
    """Text of docs/settings.md."""
    lines = [
        "# Settings of a run",
        "",
        "Made from the settings' own fields by `python -m kalshi_platform.learning.training.setting_list > "
        "docs/settings.md`; do not edit.",
        "`train`, `quickstart` (`make run`), `progressive` and every sweep take each of them with "
        "`--set NAME=VALUE`, and show this",
        "list with `--list-settings` (`--json` for programs). A value is JSON, or plain text: "
        "`--set train.learning_rate=3e-4`,",
        '`--set \'env.groups=["orderbook","temporal"]\'`.',
        "",
        "## Presets",
        "A run starts from a preset (`--preset NAME`); its first line says from which one, and what differs "
        "from it.",
        "",
        "| preset | meaning | differs from standard |",
        "|---|---|---|",
    ]
    for preset in PRESETS.values():
        changes = ", ".join(f"`{name}={value}`" for name, value in preset.changes.items())
        lines.append(f"| `{preset.name}` | {preset.meaning} | {changes} |")
    found = run_settings(RunSettings())
    for section, about in _SECTIONS.items():
        lines += ["", f"## {section}", f"{about[0].upper()}{about[1:]}.", ""]
        lines += [f"| {' | '.join(_COLUMNS)} |", "|---" * len(_COLUMNS) + "|"]
        for setting in found:
            if setting.name.startswith(f"{section}."):
                name, meaning, unit, default, allowed = _cells(setting)
                lines.append(f"| `{name}` | {meaning} | {unit} | `{default}` | {allowed} |")
    return "\n".join(lines) + "\n"


def _cells(setting: Setting) -> tuple[str, ...]:
    return (setting.name, setting.meaning, setting.unit, setting.default_text or '""', setting.allowed)


if __name__ == "__main__":
    sys.stdout.write(settings_page())
