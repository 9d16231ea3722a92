"""Log of a session: what happened, when, in one line each, without secrets.

Line    of ``.session/log.jsonl``: a JSON object with time (UTC), level, event, text and the event's fields.
Kept    the newest LINES_KEPT in memory, for page and terminal; on disk at most two files of LOG_BYTES.
Secret  the key id is cut to its first 8 characters; private keys, signatures and tokens are cut out whole
        (``cleaned``). Nothing is logged that is not cleaned first.
"""

import logging
import re
import threading
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from kalshi_platform.domain.json_text import json_text
from kalshi_platform.domain.units import NS_PER_SECOND

LINES_KEPT: Final = 50
LOG_BYTES: Final = 4_000_000
_MOST_TEXT: Final = 2_000
_GONE: Final = "(secret)"
_SECRETS: Final = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL),
    re.compile(r"(?i)(?<=access-signature)[\"':= ]+[A-Za-z0-9+/=_-]{16,}"),
    re.compile(r"(?i)(?<=token=)[^\s&#\"']+"),
    re.compile(r"(?i)(?<=#key=)[^\s&\"']+"),
    re.compile(r"(?i)(?<=bearer )[A-Za-z0-9._~+/=-]{8,}"),
)
_SECRET_NAME: Final = re.compile(r"(?i)token|secret|signature|private|password|authorization|cookie")


def cleaned(value: Any, key_id: str = "") -> Any:
    """Copy of a JSON value without secrets; the key id keeps its first 8 characters."""
    if isinstance(value, str):
        for pattern in _SECRETS:
            value = pattern.sub(_GONE, value)
        if key_id:
            value = value.replace(key_id, key_id[:8] + "…")
        return value[:_MOST_TEXT]
    if isinstance(value, Mapping):
        return {
            str(name): _GONE if _SECRET_NAME.search(str(name)) else cleaned(entry, key_id)
            for name, entry in value.items()
        }
    if isinstance(value, list | tuple):
        return [cleaned(entry, key_id) for entry in value]
    return value


class EventLog:
    """Newest lines in memory, all of the last LOG_BYTES on disk; from any thread."""

    def __init__(self, wall_ns: Callable[[], int], file: Path | None = None, key_id: str = "") -> None:
        """Begin without lines; ``file`` None: in memory only."""
        self._wall_ns, self._path, self._key_id = wall_ns, file, key_id
        self._lines: deque[str] = deque(maxlen=LINES_KEPT)
        self.counts: dict[str, int] = {}  # lines by level
        self._turn = threading.Lock()  # warnings come from other threads too
        self.failed = 0  # lines that the disk did not take

    @property
    def lines(self) -> tuple[str, ...]:
        """Newest lines for people, oldest first."""
        return tuple(self._lines)

    def say(self, event: str, text: str, *, level: str = "info", **fields: Any) -> None:
        """Add a line; a disk that does not take it is counted and stops nothing."""
        at = datetime.fromtimestamp(self._wall_ns() / NS_PER_SECOND, UTC)
        text = cleaned(text, self._key_id)
        told = {"time": f"{at:%Y-%m-%dT%H:%M:%S.%f}Z", "level": level, "event": event, "text": text}
        line = json_text(told | cleaned(fields, self._key_id), tight=True) + "\n"
        with self._turn:
            self.counts[level] = self.counts.get(level, 0) + 1
            self._lines.append(f"{at:%H:%M:%S} {event}: {text}")
            if self._path is not None:
                self._write(self._path, line)

    def _write(self, path: Path, line: str) -> None:
        """Append a line; the file before is let go once this one is full."""
        try:
            path.parent.mkdir(exist_ok=True)
            if path.exists() and path.stat().st_size + len(line) > LOG_BYTES:
                path.replace(path.with_name(path.name + ".1"))
            with path.open("a") as file:
                file.write(line)
        except OSError:
            self.failed += 1


class LoggingToEvents(logging.Handler):
    """Hands warnings of this package's loggers on to an event log."""

    def __init__(self, log: EventLog) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; whatever thread it comes from."""
        level = record.levelname.lower()
        self._log.say("warning", record.getMessage(), level=level, logger=record.name)
