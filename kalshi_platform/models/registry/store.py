"""Models and aliases in a folder or a bucket: models never change, aliases are a log that only grows.

Layout     models/<id>/weights.safetensors, record.json (written last: without it there is no model),
           models/<id>/evidence-<digest>.json (a judgement), aliases/000012.json (see aliases.py),
           verdicts/<alias>/000012/... (see verdicts.py)
Invariant  a record's id follows from its content; no file is ever replaced once its record stands.
Not        judging a model (evaluation/promotion) nor loading it (load.py).
"""

import hashlib
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pyarrow as pa

from kalshi_platform.domain.errors import ChecksumError, ContractError, DataError, LimitError
from kalshi_platform.domain.json_text import json_value
from kalshi_platform.domain.mistyped import meant
from kalshi_platform.domain.places import home
from kalshi_platform.domain.program import command_line
from kalshi_platform.models.registry.aliases import AliasEntry, AliasLog, Kind, author, check_alias, new_token
from kalshi_platform.models.registry.evidence import GateJudgement
from kalshi_platform.models.registry.provenance import DataCounts, Standing
from kalshi_platform.models.registry.record import MODEL_ID, ModelRecord
from kalshi_platform.models.registry.verdicts import KeptVerdict, add_verdict, read_verdicts
from kalshi_platform.storage.storage import open_storage

#: Address of the registry where none is given.
REGISTRY_VARIABLE: Final = "KALSHI_PLATFORM_REGISTRY"
CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"
_RECORD: Final = "record.json"


def default_registry() -> str:
    """Address of the registry: ``KALSHI_PLATFORM_REGISTRY``, or a folder in this program's home."""
    return os.environ.get(REGISTRY_VARIABLE) or str(home() / "registry")


class Registry:
    """The registry at one address; its folder appears with the first model."""

    def __init__(self, uri: str | Path | None = None) -> None:
        self._storage = open_storage(uri or default_registry())

    @property
    def uri(self) -> str:
        """Address of the registry."""
        return self._storage.uri

    def add(self, record: ModelRecord, artefacts: Mapping[str, bytes]) -> ModelRecord:
        """Store ``record`` with its files; where the same model is there already, return that record.

        ContractError where a file is missing or its sha256 is not the recorded one; nothing is written then.
        """
        sums = {name: hashlib.sha256(data).hexdigest() for name, data in artefacts.items()}
        if sums != record.artefacts:
            raise ContractError(f"model {record.id}: its files have sha256 {sums}, not {record.artefacts}")
        if self.holds(record.id):
            return self.record(record.id)
        paths = [_path(record.id, name) for name in artefacts]
        for path, data in zip(paths, artefacts.values(), strict=True):
            self._storage.write_bytes_atomic(path, data)
        self._storage.sync_folders(paths)
        text = record.model_dump_json(indent=1) + "\n"
        if not self._storage.create_exclusive(_path(record.id, _RECORD), text.encode()):
            return self.record(record.id)
        return record

    def holds(self, model: str) -> bool:
        """True where the registry has a model with this id."""
        return MODEL_ID.fullmatch(model) is not None and self._storage.exists(_path(model, _RECORD))

    def models(self) -> list[ModelRecord]:
        """Every complete model, oldest first."""
        found = [f.path.split("/") for f in self._storage.list_files("models")]
        ids = [parts[1] for parts in found if len(parts) == 3 and parts[2] == _RECORD]
        return sorted((self.record(model) for model in ids), key=lambda r: (r.created_at, r.id))

    def record(self, model: str) -> ModelRecord:
        """Record of the model with id ``model``; DataError where the record is damaged."""
        path = _path(model, _RECORD)
        values = _json(bytes(self._storage.read_bytes(path)), self._storage.address(path))
        try:
            record = ModelRecord.parse(values)
        except ContractError as err:
            raise DataError(f"{self._storage.address(path)}: {err}") from None
        if record.id != model or record.derived_id != model:
            raise DataError(
                f"{self._storage.address(path)} is the record of {record.derived_id}, not of {model}: it was "
                "edited or moved; restore it, or register the run again"
            )
        return record

    def artefact(self, record: ModelRecord, name: str) -> pa.Buffer:
        """Content of one file of a model; ChecksumError where its bytes are not the registered ones."""
        if name not in record.artefacts:
            raise ContractError(f"model {record.id} has no {name!r}; it has {', '.join(record.artefacts)}")
        path = _path(record.id, name)
        data = self._storage.read_bytes(path)
        found = hashlib.sha256(data).hexdigest()
        if found != record.artefacts[name]:
            raise ChecksumError(
                f"{self._storage.address(path)} has sha256 {found[:12]}..., its record says "
                f"{record.artefacts[name][:12]}...: it is damaged, register the run again elsewhere"
            )
        return data

    def add_files(self, model: str, files: Mapping[str, bytes]) -> None:
        """Store further files beside a model's own; DataError where a name is taken by other bytes."""
        if not self.holds(model):
            raise ContractError(f"{self.uri} has no model {model!r}; register it first")
        for name, data in files.items():
            path = _path(model, name)
            created = self._storage.create_exclusive(path, data)
            if not created and bytes(self._storage.read_bytes(path)) != data:
                raise DataError(
                    f"{self._storage.address(path)} exists with another content; choose a new name"
                )

    def files(self, model: str) -> list[str]:
        """Names of all files that lie beside the record of ``model``."""
        prefix = f"models/{model}/"
        return [f.path.removeprefix(prefix) for f in self._storage.list_files(f"models/{model}")]

    def file(self, model: str, name: str, sha256: str | None) -> bytes:
        """Content of one of a model's further files; ChecksumError where its bytes do not have ``sha256``."""
        path = _path(model, name)
        data = bytes(self._storage.read_bytes(path))
        found = hashlib.sha256(data).hexdigest()
        if sha256 is not None and found != sha256:
            raise ChecksumError(
                f"{self._storage.address(path)} has sha256 {found[:12]}..., recorded is {sha256[:12]}...: "
                "it is damaged, make it again"
            )
        return data

    def add_judgement(self, judgement: GateJudgement) -> str:
        """Keep a judgement beside its model; returns the judgement's digest."""
        path = _path(judgement.evidence.model, f"evidence-{judgement.digest}.json")
        self._storage.create_exclusive(path, (judgement.model_dump_json(indent=1) + "\n").encode())
        return judgement.digest

    def judgement(self, model: str, digest: str) -> GateJudgement:
        """Kept judgement of ``model``; DataError where its content does not have ``digest``."""
        path = _path(model, f"evidence-{digest}.json")
        address = self._storage.address(path)
        found = GateJudgement.parse(_json(bytes(self._storage.read_bytes(path)), address))
        if found.digest != digest:
            raise DataError(f"{address} has digest {found.digest}: it was changed after it was written")
        return found

    def aliases(self) -> AliasLog:
        """Log of aliases as it stands now."""
        return AliasLog.read(self._storage)

    def resolve(self, name: str) -> str:
        """Id of the model called ``name``, an alias or an id; a ContractError tells what is near.

        DataError where an alias names a model that is not there any more.
        """
        named = self.aliases().model(name)
        model = named or name
        if self.holds(model):
            return model
        if named is not None:
            raise DataError(
                f"{self.uri}: alias {name} names {named}, which is not there: restore models/{named} from "
                "a backup, or promote another model"
            )
        raise ContractError(self.lacks(name))

    def knows(self, name: str) -> bool:
        """True where ``name`` is an alias or an id of a model of this registry."""
        return self.holds(self.aliases().model(name) or name)

    @property
    def is_empty(self) -> bool:
        """True where no model was registered here."""
        return not any(f.path.endswith(f"/{_RECORD}") for f in self._storage.list_files("models"))

    def lacks(self, name: str) -> str:
        """Message that there is no model called ``name``: the nearest names, or what there is instead."""
        if self.is_empty:
            return f"no model {name!r}: {self.when_empty()}"
        current, ids = self.aliases().current, [record.id for record in self.models()]
        near = meant(name, [*current, *ids])
        aliases = (f"the {alias} is {model}" for alias, model in current.items())
        held = "; ".join(aliases) or f"it holds {', '.join(ids)}"
        return f"{self.uri} has no model or alias {name!r}{near or f'; {held}'}"

    def when_empty(self) -> str:
        """Line for a registry without a model: how one gets there."""
        register = command_line("models", "register", "--run", "RUN", "--dataset", "DATASET")
        return (
            f"{self.uri} holds no model yet. Name another registry (--registry), train a first model "
            f"({command_line('quickstart')}), or register a run of yours ({register})"
        )

    def promote(
        self,
        alias: str,
        model: str,
        *,
        reason: str,
        evidence: str | None = None,
        standing: Standing | None = None,
        judged_on: DataCounts | None = None,
        seen: AliasLog | None = None,
    ) -> AliasEntry:
        """Make ``alias`` name ``model``, as a new entry of the log.

        ``seen`` is the log that the caller decided on. Where the alias changed since, a LimitError says who
        changed it and nothing is done. An alias that already names the model gets no new entry, unless the
        model was judged anew with another ``standing``. ``judged_on`` are the data that the gates judged.
        """
        check_alias(alias)
        if not self.holds(model):
            raise ContractError(f"{self.uri} has no model {model!r}; register it first")
        log = seen or self.aliases()
        before = log.promotion(alias)
        if before is not None and before.model == model and standing in (None, before.standing):
            return self._unchanged(alias, log)
        return self._append(
            log, alias, model, "promote", reason, evidence=evidence, standing=standing, judged_on=judged_on
        )

    def rollback(
        self, alias: str, *, reason: str, seen: AliasLog | None = None, to: str | None = None
    ) -> AliasEntry:
        """Make ``alias`` name the model from before its present promotion, as a new entry.

        A second rollback goes one further back: promotions A, B, C and two rollbacks leave A. A model that
        replicas refused is passed over (:meth:`before`). ``to`` names a model further down at once.
        LimitError where there is nothing before, or no such model.
        """
        log = seen or self.aliases()
        target = self.before(alias, log) if to is None else to
        if target not in log.stack(alias)[:-1]:
            raise LimitError(f"alias {alias!r} never named {target} before its present model")
        if not self.holds(target):
            raise DataError(f"{self.uri} no longer holds {target}, which {alias!r} named before")
        return self._append(log, alias, target, "rollback", reason)

    def before(self, alias: str, log: AliasLog) -> str:
        """Model to which a rollback of ``alias`` goes by ``log``; LimitError where there is none.

        Models that every replica refused are passed over: they never answered; so are earlier promotions of
        the present model, which was judged anew.
        """
        standing, refused = log.promotions(alias), []
        for entry in reversed(standing[:-1]):
            if entry.model == standing[-1].model:
                continue
            if (reason := self._refused(entry)) is None:
                return entry.model
            refused.append(f"; {entry.model} was refused: {reason}")
        named = f"names {standing[-1].model} and named nothing" if standing else "has never been set"
        if standing:
            named += " else before that answered" if refused else " before"
        raise LimitError(f"alias {alias!r} {named}: there is nothing to roll back to{''.join(refused)}")

    def _refused(self, entry: AliasEntry) -> str | None:
        """Reason why no replica ever served what ``entry`` named; None where one did or nobody tried."""
        verdicts = [v for v in self.verdicts(entry.alias, entry.number) if v.model == entry.model]
        if any(v.served for v in verdicts):
            return None
        return next((v.reason for v in verdicts if v.fault == "model"), None)

    def verdicts(self, alias: str, entry: int) -> list[KeptVerdict]:
        """Verdicts on what ``alias`` named by the entry with this number; DataError where one is damaged."""
        return read_verdicts(self._storage, alias, entry)

    def add_verdict(self, verdict: KeptVerdict) -> None:
        """Keep a verdict; the first of its name stands, and a later one changes nothing."""
        add_verdict(self._storage, verdict)

    def _append(
        self, log: AliasLog, alias: str, model: str, kind: Kind, reason: str,
        *, evidence: str | None = None, standing: Standing | None = None, judged_on: DataCounts | None = None,
    ) -> AliasEntry:  # fmt: skip
        """Create the entry with the next number.

        Take a higher number where another alias's entry came between.
        """
        token = new_token()
        before = log
        while True:
            entry = AliasEntry(
                number=log.number + 1, alias=alias, kind=kind, model=model, previous=log.model(alias),
                reason=reason, evidence=evidence, at=now(), by=author(), token=token,
                standing=standing, judged_on=judged_on,
            )  # fmt: skip
            text = entry.model_dump_json(indent=1) + "\n"
            if self._storage.create_exclusive(entry.path, text.encode()):
                return entry
            log = self.aliases()
            if log.number < entry.number:
                raise DataError(f"{self._storage.address(entry.path)} exists but cannot be listed; repeat")
            # An answer lost on the way makes our own entry look like somebody else's.
            if (ours := log.entries[entry.number - 1]).token == token:
                return ours
            _refuse_change(before, log, alias, model)

    def _unchanged(self, alias: str, seen: AliasLog) -> AliasEntry:
        _refuse_change(seen, self.aliases(), alias, seen.model(alias) or "")
        latest = seen.latest(alias)
        assert latest is not None  # it names a model
        return latest


def now() -> str:
    """Present time, UTC, as ISO text."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _refuse_change(seen: AliasLog, log: AliasLog, alias: str, model: str) -> None:
    won = next((e for e in reversed(log.entries[seen.number :]) if e.alias == alias), None)
    if won is not None:
        raise LimitError(
            f"{alias} was not changed to {model}: {won.by} made it {won.model} at {won.at} "
            f"({won.kind}, entry {won.number}) after this decision began; "
            "look at that change and decide again"
        )


def _path(model: str, name: str) -> str:
    if not MODEL_ID.fullmatch(model):
        raise ContractError(f"{model!r} is no id of a model: expected <level>-<12 hex digits>")
    return f"models/{model}/{name}"


def _json(data: bytes, address: str) -> dict[str, object]:
    try:
        values = json_value(data)
    except ValueError as err:
        raise DataError(f"{address} is not JSON ({err}): it is damaged, restore it") from None
    if not isinstance(values, dict):
        raise DataError(f"{address} is not a JSON object: it is damaged, restore it")
    return values
