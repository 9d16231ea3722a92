"""Experiments: a question asked of the data, the settings it varies, their base, and limits in time."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from pydantic import Field
from ray import tune
from ray.tune.search.sample import Domain
from ray.tune.search.variant_generator import generate_variants

from kalshi_platform.domain.config import Config, digest_of
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.learning.training.session import RunSettings

SchedulerName = Literal["asha", "pbt", "none"]


class SweepConfig(Config):
    """Settings of a sweep's search, stops and end; the space it searches lies in its :class:`Experiment`."""

    samples: int = Field(1, ge=1, description="draws of the random settings for each point of the grid")
    seed: int = Field(0, ge=0, description="root of the drawn settings and of every run's randomness")
    scheduler: SchedulerName = "asha"
    rung_factor: int = Field(3, ge=2, description="asha: one in so many trials goes on at a rung")
    grace_iterations: int = Field(20, ge=1, description="asha, pbt: iterations before the first decision")
    patience: int = Field(5, ge=0, description="validations without a gain that end a trial; 0 = never")
    min_gain: float = Field(0.001, ge=0, description="smallest gain of the validation return that counts")
    grace_validations: int = Field(3, ge=1, description="validations before patience can end a trial")
    concurrent: int = Field(0, ge=0, description="trials at the same time; 0 = as many as there is room for")
    max_failures: int = Field(
        3, ge=0, description="times a trial goes on from its checkpoint after a failure"
    )
    finalists: int = Field(2, ge=1, description="best settings that are trained again with further seeds")
    seeds: int = Field(
        5, ge=1, description="further seeds of each finalist; its own run was chosen for its score: not one"
    )


@dataclass(frozen=True)
class Experiment:
    """One question; ``space`` maps dotted settings (train.learning_rate) to Ray Tune domains or lists."""

    name: str
    question: str
    expectation: str
    space: Mapping[str, Any]
    base: RunSettings
    sweep: SweepConfig = field(default_factory=SweepConfig)
    smoke_space: Mapping[str, Any] | None = None  # None = the whole space
    smoke_base: Mapping[str, Any] = field(default_factory=dict)
    smoke_sweep: Mapping[str, Any] = field(default_factory=dict)

    def smoked(self) -> "Experiment":
        """Small form of the question, at most two minutes on two cores.

        It only shows that everything works.
        """
        return replace(
            self,
            name=f"{self.name}-smoke",
            space=self.space if self.smoke_space is None else self.smoke_space,
            base=self.base.with_values(dict(self.smoke_base)),
            sweep=self.sweep.replace(**self.smoke_sweep),
        )

    def with_settings(self, base: Mapping[str, Any], sweep: Mapping[str, Any]) -> "Experiment":
        """Copy with settings replaced; a ContractError names a wrong one, or one that the space varies."""
        if clash := sorted(set(base) & set(_names(self.space))):
            raise ContractError(f"{self.name} varies {', '.join(clash)}: it cannot be set for every trial")
        return replace(self, base=self.base.with_values(dict(base)), sweep=self.sweep.replace(**sweep))


class Variant(Config):
    """One point of the space: the values that differ from the base, and the whole settings that follow."""

    id: str
    values: dict[str, Any]
    settings: RunSettings


def variants(experiment: Experiment, sweep: SweepConfig, data: Sequence[str] = ()) -> tuple[Variant, ...]:
    """All trials of the sweep, in order, the same for the same seed; a ContractError names a bad value.

    All settings are built here, before anything expensive starts. A trial's id has a digest of everything
    that decides its numbers: all of its settings and ``data``, the digests of dataset and feature table. The
    results of another trial can so never lie under its name.
    """
    if not experiment.space:
        raise ContractError(f"{experiment.name} has an empty search space; give it a setting to vary")
    found: dict[str, Variant] = {}
    for values in _points(experiment.space, sweep.samples, sweep.seed):
        settings = experiment.base.with_values({"train.seed": sweep.seed, **_flat(values)})
        named = f"t{len(found):03d}-{digest_of([settings.digest, *data])[:6]}"
        if not any(v.values == values for v in found.values()):
            found[named] = Variant(id=named, values=values, settings=settings)
    return tuple(found.values())


def _points(space: Mapping[str, Any], samples: int, seed: int) -> list[dict[str, Any]]:
    """Points of the space.

    Grid lists in all combinations, each with ``samples`` draws of the random settings.
    """
    grid = {k: tuple(v) for k, v in space.items() if isinstance(v, Sequence) and not isinstance(v, str)}
    drawn = {k: v for k, v in space.items() if k not in grid}
    rng = np.random.RandomState(seed)  # Ray Tune's domains take no other generator
    out = []
    for point in itertools.product(*grid.values()):
        for _ in range(samples if drawn else 1):
            # generate_variants splits names at "/" only, so dotted settings stay whole
            (_, values), *_ = generate_variants({"values": dict(drawn)}, random_state=rng)
            out.append({**dict(zip(grid, point, strict=True)), **values["values"]})
    return [{name: values[name] for name in space} for values in out]


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of one point by dotted name; a value that is a mapping (an arm) sets several."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= value if isinstance(value, Mapping) else {name: value}
    return flat


def _names(space: Mapping[str, Any]) -> set[str]:
    """Names of all settings that the space varies, those inside an arm as well."""
    found = set()
    for name, value in space.items():
        arms = [arm for arm in value if isinstance(arm, Mapping)] if isinstance(value, Sequence) else []
        found |= {n for arm in arms for n in arm} or {name}
    return found


def space_in_words(space: Mapping[str, Any]) -> dict[str, Any]:
    """Searched space for the record: each list, or each domain as Ray Tune prints it."""
    return {
        name: f"{type(v).__name__.lower()} {v.domain_str}" if isinstance(v, Domain) else list(v)
        for name, v in space.items()
    }


def mutations(space: Mapping[str, Any], allowed: frozenset[str]) -> dict[str, Any]:
    """Settings of ``train`` that population-based training changes between two iterations.

    ContractError where the space varies another setting: a trial that takes over another one's weights takes
    over all of its settings, and those must not change in the middle of a run.
    """
    fixed = [name for name in space if name.removeprefix("train.") not in allowed]
    if fixed:
        raise ContractError(
            f"scheduler pbt cannot vary {', '.join(fixed)} in the middle of a run, only "
            f"{', '.join(f'train.{name}' for name in sorted(allowed))}: use asha or none"
        )
    return {
        name.removeprefix("train."): value if isinstance(value, Domain) else tune.choice(list(value))
        for name, value in space.items()
    }
