"""The folder where this program keeps its files when the caller names none, and paths that begin with ``~``.

A sweep started by ``ray job submit`` runs in a temporary copy of the checkout; files at relative paths would
be lost with it.
"""

import os
from pathlib import Path
from typing import Final

from kalshi_platform.domain.bounded import shown_value
from kalshi_platform.domain.errors import ContractError

#: Environment variable that moves runs, the registry and the tracking database.
HOME_VARIABLE: Final = "KALSHI_PLATFORM_HOME"


def home() -> Path:
    """Folder of this program's files: ``$KALSHI_PLATFORM_HOME``, or ``~/.local/share/kalshi-platform``."""
    named = os.environ.get(HOME_VARIABLE)
    return Path(named) if named else user_home(HOME_VARIABLE) / ".local" / "share" / "kalshi-platform"


def user_home(variable: str) -> Path:
    """Home folder of the user; ContractError names ``variable`` to set where there is none.

    A container is often run as a number that no user of it has.
    """
    try:
        return Path.home()
    except RuntimeError:
        raise ContractError(f"this user has no home folder here: name a folder in {variable}") from None


def expanded(path: str | Path) -> Path:
    """``path`` with ``~`` or ``~user`` at its begin replaced; ContractError where there is no such home."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        shown = shown_value(str(path))
        raise ContractError(f"{shown}: there is no such user here, write the folder's whole path") from None
