"""The log of aliases: who made an alias such as champion name which model, when and why.

Layout     aliases/000001.json, 000002.json, ...: one change each, created exclusively, never replaced
Invariant  numbers run without a gap; the entries up to the highest number are the present state.
Rollback   promotions of an alias form a stack; a rollback takes the top off, down to the model that its new
           entry names.
"""

import getpass
import re
import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import Field

from kalshi_platform.domain.bounded import shown_value
from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.json_text import json_value
from kalshi_platform.models.registry.provenance import DataCounts, Standing
from kalshi_platform.models.registry.record import MODEL_ID
from kalshi_platform.storage.storage import Storage

Kind = Literal["promote", "rollback"]
_FOLDER: Final = "aliases"
_ENTRY: Final = re.compile(r"aliases/(\d{6})\.json")
_ALIAS: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")


class AliasEntry(Config):
    """One change of one alias."""

    number: int
    alias: str
    kind: Kind
    model: str
    previous: str | None
    reason: str
    evidence: str | None  # digest of the judgement beside the model
    at: str
    by: str  # user@host
    token: str  # random: tells the writer its own entry from another's
    standing: Standing | None = Field(
        None, description="as the gates judged it; None: no gate counted", exclude_if=lambda x: x is None
    )
    judged_on: DataCounts | None = Field(
        None, description="events and blocks that the gates judged", exclude_if=lambda x: x is None
    )

    @property
    def path(self) -> str:
        """Path of the entry in the registry."""
        return f"{_FOLDER}/{self.number:06d}.json"


@dataclass(frozen=True)
class AliasLog:
    """All changes of all aliases, up to the highest number."""

    entries: tuple[AliasEntry, ...] = ()

    @classmethod
    def read(cls, storage: Storage) -> "AliasLog":
        """Read the log as it stands; DataError where a number is missing or an entry is damaged."""
        paths = [f.path for f in storage.list_files(_FOLDER) if _ENTRY.fullmatch(f.path)]
        entries: list[AliasEntry] = []
        for number, path in enumerate(sorted(paths), 1):
            entry = _read(storage, path)
            if entry.path != path or entry.number != number:
                raise DataError(
                    f"{storage.address(_FOLDER)}: entry {number} is missing before {path}; "
                    "restore it from a backup"
                )
            if entry.kind == "rollback" and not any(
                earlier.alias == entry.alias and earlier.model == entry.model for earlier in entries
            ):
                raise DataError(
                    f"{storage.address(path)} is damaged: it gives {entry.alias} back to {entry.model}, "
                    "which it never named; restore it from a backup"
                )
            entries.append(entry)
        return cls(tuple(entries))

    @property
    def number(self) -> int:
        """Highest number in the log; 0 before the first change."""
        return len(self.entries)

    @property
    def current(self) -> Mapping[str, str]:
        """Model that each alias names, by alias."""
        return {entry.alias: entry.model for entry in self.entries}

    def model(self, alias: str) -> str | None:
        """Model that ``alias`` names; None where nobody ever set it."""
        return self.current.get(alias)

    def latest(self, alias: str) -> AliasEntry | None:
        """Latest change of ``alias``, also a rollback; None where nobody ever set it."""
        return next((entry for entry in reversed(self.entries) if entry.alias == alias), None)

    def promotion(self, alias: str) -> AliasEntry | None:
        """Promotion that put the present model of ``alias`` there, also after rollbacks; None without one."""
        return next(reversed(self.promotions(alias)), None)

    def promotions(self, alias: str) -> tuple[AliasEntry, ...]:
        """Promotions of ``alias`` that no rollback took off, the present one last.

        A rollback takes off every promotion above the latest one of the model that it names.
        """
        kept: list[AliasEntry] = []
        for entry in self.entries:
            if entry.alias != alias:
                continue
            if entry.kind == "promote":
                kept.append(entry)
                continue
            if kept:  # else an earlier rollback took off all: nothing of a sound log
                kept.pop()
            while kept and kept[-1].model != entry.model:
                kept.pop()
        return tuple(kept)

    def stack(self, alias: str) -> tuple[str, ...]:
        """Models of :meth:`promotions`; one that was judged anew and promoted again stands once."""
        models = [entry.model for entry in self.promotions(alias)]
        return tuple(m for k, m in enumerate(models) if k == 0 or m != models[k - 1])

    def require_grown_from(self, seen: "AliasLog", address: str) -> None:
        """Raise DataError unless every entry of ``seen``, read earlier, still stands here as it was."""
        if len(self.entries) < len(seen.entries):
            raise DataError(
                f"{address}: the log ends at entry {self.number}, it had {seen.number} before; the log only "
                "grows: restore it from a backup"
            )
        changed = next((e for e, now in zip(seen.entries, self.entries, strict=False) if e != now), None)
        if changed is not None:
            raise DataError(
                f"{address}: {changed.path} is not the entry that was read before (now of "
                f"{self.entries[changed.number - 1].at}); entries never change: restore it from a backup"
            )


def check_alias(alias: str) -> None:
    """Refuse an alias that is no valid name or looks like the id of a model."""
    if not _ALIAS.fullmatch(alias) or MODEL_ID.fullmatch(alias):
        raise ContractError(
            f"alias {alias!r} is refused: lower-case letters, digits, - and _, at most 32, a letter first, "
            "and not of the form of a model's id"
        )


def author() -> str:
    """Name of whoever changes the registry: user@host; a user without a name is shown as unknown."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user often has no entry in passwd
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def new_token() -> str:
    """A random mark for one change, by which a writer knows its own entry."""
    return uuid.uuid4().hex


def _read(storage: Storage, path: str) -> AliasEntry:
    try:
        entry = AliasEntry.parse(json_value(bytes(storage.read_bytes(path))))
    except (ValueError, ContractError) as err:
        raise DataError(f"{storage.address(path)} is damaged ({err}); restore it from a backup") from None
    if not _ALIAS.fullmatch(entry.alias) or not MODEL_ID.fullmatch(entry.model):
        named = f"{shown_value(entry.alias)} = {shown_value(entry.model)}"
        raise DataError(
            f"{storage.address(path)} is damaged ({named} is no alias of a model); restore it from a backup"
        )
    return entry
