"""The folder where this program keeps its files when the caller names none.

A sweep started by ``ray job submit`` runs in a temporary copy of the checkout; files at relative paths would
be lost with it.
"""

import os
from pathlib import Path
from typing import Final

#: Environment variable that moves runs, the registry and the tracking database.
HOME_VARIABLE: Final = "KALSHI_PLATFORM_HOME"


def home() -> Path:
    """Folder of this program's files: ``$KALSHI_PLATFORM_HOME``, or ``~/.local/share/kalshi-platform``."""
    return Path(os.environ.get(HOME_VARIABLE) or Path.home() / ".local" / "share" / "kalshi-platform")
