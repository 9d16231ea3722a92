"""Simulated worlds by name, each with its content in words: a result says in which world it was found.

Owns    the names that recordings carry, and the words that datasets, reports and models say of them.
Unknown a recording of an earlier release names no world; a world with changed settings has no preset's name.
Not     the settings behind the names (simulation/simexchange/presets.py).
"""

import re
from collections.abc import Iterable
from typing import Final

#: World of a simulated recording that names none.
UNNAMED: Final = "unnamed"
#: World of settings that no preset has, beside its seed, its number of events and their times.
OWN_SETTINGS: Final = "own_settings"
#: Name of a world -> its content.
WORLDS: Final = {
    "planted_imbalance": "size displayed in proportion to a mispricing of about 5 c, which few trade away",
    "martingale": "sizes that say nothing about the price to come: nothing to learn",
    "calibrated": "agents on a matching core, fitted to one recorded S&P 500 day; no pattern is planted",
    "calibrated_apr10": "agents on a matching core, fitted to another S&P 500 day; no pattern is planted",
    OWN_SETTINGS: "settings of its own, which no preset describes",
    UNNAMED: "it may display a mispricing of about 5 c, as planted_imbalance does",
}
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")


def world_name(text: str | None) -> str:
    """World that a simulated recording names as ``text``; UNNAMED where that is no name."""
    return text if text is not None and _NAME.fullmatch(text) else UNNAMED


def world_words(name: str) -> str:
    """Return the name of a world with its content in brackets, for the middle of a sentence."""
    content = WORLDS.get(name, "this program does not know its content")
    return f"{'a world that nothing here names' if name == UNNAMED else f'the world {name}'} ({content})"


def worlds_words(names: Iterable[str]) -> str:
    """Names of several worlds with their content; of none at all the words of an unnamed one."""
    return " and ".join(map(world_words, names)) or world_words(UNNAMED)
