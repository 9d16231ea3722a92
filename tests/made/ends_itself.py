"""A command that ends itself, as SIGTERM does, once a JSON file says that enough has happened."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: Minutes after which a command ends in any case: a test then says what is missing.
CAP_MINUTES = 8


def end_when(path: Path, seen: Callable[[dict[str, Any]], bool]) -> None:
    """Send this process SIGTERM once the values in ``path`` are ``seen``; returns at once."""

    def watch() -> None:
        while not (path.exists() and seen(json.loads(path.read_text()))):
            time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
