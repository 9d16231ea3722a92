"""Marks of a model under an alias: what every answer, page and list must say of it.

Owns       Marks, and the rule that finds them from the alias log and the model's record.
Rule       the entry that gave the alias decides where it was gated; else the model's own record does. After
           a rollback the entry counts that first gave the alias to the model.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from kalshi_platform.models.registry.aliases import AliasEntry, AliasLog
from kalshi_platform.models.registry.flaws import Fitness
from kalshi_platform.models.registry.provenance import (
    MIN_RECORDED_BLOCKS,
    SIMULATED,
    DataCount,
    Standing,
    counts_words,
    real_blocks,
    standing_of,
)
from kalshi_platform.models.registry.record import ModelRecord
from kalshi_platform.models.registry.store import Registry


class Marks(NamedTuple):
    """Standing of a model, the data it was judged on in words, and the gates that it passed or not."""

    standing: Standing
    judged_on: str
    passed_gates: bool
    n_real: int = 0  # blocks of real data among them
    fitness: Fitness = Fitness.UNKNOWN
    flaws: tuple[str, ...] = ()  # rules of the checkup that found an error

    @property
    def simulated(self) -> bool:
        """True where the model was not judged on real data, or nobody knows: it is not to be believed."""
        return self.standing != "real"

    @property
    def cautions(self) -> tuple[str, ...]:
        """Sentences that stand beside every answer; empty for a model that was judged as it should be."""
        said = []
        if self.fitness is Fitness.IDLE:
            said.append("does not trade: it filled no order on the events that judged it")
        elif self.flaws:
            said.append(f"errors of its checkup: {', '.join(self.flaws)}")
        if self.standing == SIMULATED:
            few = " and too few real ones" if self.n_real else " only"
            said.append(f"simulated: judged on simulated data{few} ({self.judged_on})")
        elif self.standing == "unknown":
            said.append("simulated: on which data it was judged is unknown, so it counts as simulated")
        elif self.n_real < MIN_RECORDED_BLOCKS:
            said.append(f"judged on little real data: {self.n_real} of {MIN_RECORDED_BLOCKS} blocks")
        if not self.passed_gates:
            said.append("passed no gate: do not trade by it")
        return tuple(said)

    @property
    def fields(self) -> dict[str, Any]:
        """Fields of an answer on the wire."""
        return {"simulated": self.simulated, "cautions": list(self.cautions)}


#: Marks of a model of which nothing is known.
UNMARKED = Marks("unknown", "unknown", False)


@lru_cache(maxsize=16)
def fields_said(marks: Marks) -> dict[str, Any]:
    """Fields of ``marks`` where there is something to say, made once for each: nobody may change them."""
    return marks.fields if marks.cautions else {}


def marks_of(record: ModelRecord, log: AliasLog, alias: str) -> Marks:
    """Marks of the model of ``record`` where ``alias`` names it; under no alias it passed no gate."""
    entry = log.promotion(alias)
    counts = record.judged_on
    if entry is None or entry.model != record.id:
        return _marks(record, standing_of(counts), counts, passed_gates=False)
    is_gated = entry.evidence is not None
    if not is_gated or entry.judged_on is None:
        return _marks(record, standing_of(counts), counts, passed_gates=is_gated)
    standing = entry.standing or standing_of(entry.judged_on)
    return _marks(record, standing, entry.judged_on, passed_gates=True)


def marks_at(record: ModelRecord, log: AliasLog, entry: AliasEntry) -> Marks:
    """Marks that the model of ``record`` had when ``entry``, a change of ``log``, was the latest."""
    return marks_of(record, AliasLog(log.entries[: entry.number]), entry.alias)


def all_marks(record: ModelRecord, log: AliasLog) -> Marks:
    """Marks of the model of ``record`` wherever it stands best: under a gated alias, else by its record."""
    found = [marks_of(record, log, alias) for alias, model in log.current.items() if model == record.id]
    own = marks_of(record, AliasLog(), "")
    return next((marks for marks in found if marks.passed_gates), own)


def latest_not_simulated(registry: Registry, log: AliasLog, alias: str, model: str) -> str | None:
    """Latest model but ``model`` that had ``alias`` and is not marked simulated; None where there is none.

    One of unknown standing counts: nobody can say that it was judged on simulated data alone.
    """
    latest = {entry.model: entry for entry in log.entries if entry.alias == alias and entry.kind == "promote"}
    for entry in sorted(latest.values(), key=lambda each: -each.number):
        if entry.model != model and _standing(registry, entry) != SIMULATED:
            return entry.model
    return None


def _standing(registry: Registry, entry: AliasEntry) -> Standing:
    """Standing of the model of ``entry``: as the gates judged it, else as its record says."""
    if entry.standing is not None:
        return entry.standing
    return standing_of(registry.record(entry.model).judged_on) if registry.holds(entry.model) else "unknown"


def _marks(
    record: ModelRecord, standing: Standing, counts: Mapping[Any, DataCount] | None, *, passed_gates: bool
) -> Marks:
    rules = tuple(dict.fromkeys(flaw.rule for flaw in record.flaws))
    found = counts_words(counts)
    return Marks(standing, found, passed_gates, real_blocks(counts or {}), record.fitness, rules)
