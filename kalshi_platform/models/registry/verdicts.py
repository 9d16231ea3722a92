"""Verdicts of replicas on what an alias named: served after its checks, or refused, and why.

Layout     verdicts/<alias>/<entry>/<model>.<tier set or alone>.<end>.json, where the end is
           served              a replica took it into service
           refused             the fault is the model's: no replica serves it
           refused-<digest>    the fault is one machine's (digest of host and time): none there does
Entry      the number of the alias's change that named the model: a later change is a new chance.
Invariant  each file is created exclusively and never replaced.
"""

import re
from typing import Final, Literal

from kalshi_platform.domain.bounded import shown_value
from kalshi_platform.domain.config import Config, digest_of
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.json_text import json_value
from kalshi_platform.models.registry.record import MODEL_ID
from kalshi_platform.storage.storage import Storage

#: Cause of a refusal: the model itself, or the machine that should run it; empty where it was served.
Fault = Literal["", "model", "machine"]
_FOLDER: Final = "verdicts"
_FILE: Final = re.compile(
    rf"{MODEL_ID.pattern}\.(alone|[0-9a-f]{{12}})\.(served|refused(-[0-9a-f]{{12}})?)\.json"
)


class KeptVerdict(Config):
    """One verdict as the registry keeps it."""

    alias: str
    entry: int
    model: str
    tier_set: str | None
    fault: Fault
    reason: str
    host: str
    at: str
    by: str  # user@host

    @property
    def served(self) -> bool:
        """True where a replica took the model into service."""
        return not self.fault

    @property
    def path(self) -> str:
        """Path of the verdict in the registry."""
        end = "served" if self.served else "refused"
        if self.fault == "machine":
            end += f"-{digest_of([self.host, self.at])}"
        name = f"{self.model}.{self.tier_set or 'alone'}.{end}.json"
        return f"{_folder(self.alias, self.entry)}/{name}"

    def binds(self, host: str) -> bool:
        """True where the model may not be served on ``host``."""
        return self.fault == "model" or (self.fault == "machine" and self.host == host)


def add_verdict(storage: Storage, verdict: KeptVerdict) -> None:
    """Keep a verdict; the first of its name stands, and a later one changes nothing."""
    storage.create_exclusive(verdict.path, (verdict.model_dump_json(indent=1) + "\n").encode())


def read_verdicts(storage: Storage, alias: str, entry: int) -> list[KeptVerdict]:
    """Verdicts on what ``alias`` named by its change ``entry``, oldest first; DataError if damaged."""
    folder = _folder(alias, entry)
    paths = [f.path for f in storage.list_files(folder) if _FILE.fullmatch(f.path.removeprefix(f"{folder}/"))]
    return sorted((_read(storage, path) for path in paths), key=lambda verdict: verdict.at)


def _folder(alias: str, entry: int) -> str:
    return f"{_FOLDER}/{alias}/{entry:06d}"


def _read(storage: Storage, path: str) -> KeptVerdict:
    try:
        found = KeptVerdict.parse(json_value(bytes(storage.read_bytes(path))))
    except (ValueError, ContractError) as err:
        raise DataError(f"{storage.address(path)} is damaged ({err}); restore it from a backup") from None
    if found.path != path:
        raise DataError(
            f"{storage.address(path)} is the verdict {shown_value(found.path)}: it was edited or moved"
        )
    return found
