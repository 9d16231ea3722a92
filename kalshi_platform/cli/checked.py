"""The result of one check of ``kalshi-platform doctor``."""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """Result of a check. OK: nothing to do. WARN: works, with a limit. FAIL: a command will not work."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True)
class Checked:
    """Result of one check; ``advice`` says what to do and is empty when there is nothing to do."""

    name: str
    status: Status
    detail: str
    advice: str = ""
