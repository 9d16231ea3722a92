"""One training run from settings to a folder with the best policy: ``train``.

Folder     config.json, metrics.jsonl (a line an iteration), checkpoints/, best, latest
Invariant  the same settings and data give the same numbers, whether the run was interrupted or not.
"""

import json
import math
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import ray
import torch

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.models.policy import FrozenPolicy
from kalshi_platform.training.checkpoint import (
    BEST,
    LATEST,
    point,
    read_checkpoint,
    remove_old,
    write_checkpoint,
)
from kalshi_platform.training.config import TrainConfig
from kalshi_platform.training.metrics import METRICS
from kalshi_platform.training.ppo import ReplayPPO, build_algorithm
from kalshi_platform.training.source import TrainingSource
from kalshi_platform.training.state import advance_curriculum, capture, frozen_copy, restore

CONFIG: Final = "config.json"
#: Key of a validation's result that decides which policy is the best; larger is better.
SCORE: Final = "score"

Validate = Callable[[FrozenPolicy], dict[str, float]]
#: Called after each validation with the numbers of all so far; a reason ends the run.
Stop = Callable[[Sequence[Mapping[str, Any]]], str | None]


class Progress(NamedTuple):
    """Where a run stands after an iteration."""

    iteration: int
    iterations: int
    env_steps: int
    steps_per_s: float
    seconds_left: float
    episode_return: float | None
    score: float | None
    best_score: float | None

    def line(self) -> str:
        """One line for the terminal."""
        left = (
            f"{self.seconds_left / 60:.0f} min" if self.seconds_left >= 120 else f"{self.seconds_left:.0f} s"
        )
        shown = [
            f"{self.iteration}/{self.iterations}",
            f"{self.env_steps:,} steps",
            f"{self.steps_per_s:,.0f} steps/s",
            f"{left} left",
        ]
        if self.episode_return is not None:
            shown.append(f"return {self.episode_return:+.3f}")
        if self.score is not None:
            shown.append(f"validation {self.score:+.4f} (best {self.best_score:+.4f})")
        return "  ".join(shown)


class Throttle:
    """Shows a run's first and last iteration and between them one line every few seconds."""

    def __init__(self, say: Callable[[str], None], every_s: float = 5.0) -> None:
        self._say, self._every_s, self._next_s = say, every_s, 0.0

    def __call__(self, progress: Progress) -> None:
        """Show ``progress`` if it is due."""
        if time.monotonic() >= self._next_s or progress.iteration == progress.iterations:
            self._say(progress.line())
            self._next_s = time.monotonic() + self._every_s


class TrainResult(NamedTuple):
    """What a run left behind; ``best`` holds the policy to evaluate."""

    out: Path
    best: Path
    metrics: Path
    iterations: int
    env_steps: int
    best_score: float | None
    stopped: str  # "budget", "patience" or the reason that ``stop`` gave


@dataclass
class _Counters:
    """What a run counts itself; stored in every checkpoint."""

    iteration: int = 0
    env_steps: int = 0
    episodes: int = 0
    elapsed_s: float = 0.0
    best_score: float | None = None
    unimproved: int = 0
    validation: dict[str, float] = field(default_factory=dict)


def train(
    source: TrainingSource,
    out: Path,
    config: TrainConfig,
    validate: Validate | None = None,
    progress: Callable[[Progress], None] | None = None,
    resume: bool = False,
    stop: Stop | None = None,
) -> TrainResult:
    """Train until the budget or the patience is used up; write everything under ``out``.

    ``validate`` scores a frozen policy on held-out markets every ``validate_every`` iterations; its results
    stand in every report, carried forward. Without it the newest policy is the best.
    ``resume`` continues from ``out/latest``; ``stop`` may end the run after a validation.
    Raises TrainingError when a sampler fails, ContractError when ``out`` holds another run.
    """
    out = Path(out)
    _claim(out, config, resume)
    with _ray_running(config.num_env_runners), _torch_threads(config.torch_threads):
        algorithm = build_algorithm(source, config)
        try:
            run = _Run(algorithm, out, config, validate, progress, stop)
            if resume:
                run.resume()
            return run.to_the_end()
        finally:
            algorithm.stop()  # type: ignore[no-untyped-call]
            # RLlib makes an empty folder for every run in ~/ray_results; ours is ``out``.
            shutil.rmtree(algorithm.logdir, ignore_errors=True)


class _Run:
    """The loop, and the hook that completes every result."""

    def __init__(
        self,
        algorithm: ReplayPPO,
        out: Path,
        config: TrainConfig,
        validate: Validate | None,
        progress: Callable[[Progress], None] | None,
        stop: Stop | None,
    ) -> None:
        self._algorithm = algorithm
        self._stop = stop
        self._validations: list[dict[str, float]] = []
        self._out = out
        self._config = config
        self._validate = validate
        self._progress = progress
        self._count = _Counters()
        self._started_s = time.monotonic()
        callbacks: Any = algorithm.callbacks
        callbacks.hooks.append(self._after_iteration)

    def resume(self) -> None:
        """Continue from the newest checkpoint; metrics written after it are taken back."""
        policy, state = read_checkpoint((self._out / LATEST).resolve())
        restore(self._algorithm, policy, state)
        self._count = _Counters(**state.values["run"])
        metrics = self._out / METRICS
        kept = metrics.read_text().splitlines(keepends=True)[: self._count.iteration]
        lines = [json.loads(line) for line in kept]
        every = self._config.validate_every
        self._validations = [
            x["validation"] for x in lines if x["iteration"] % every == 0 and x["validation"]
        ]
        fresh = metrics.with_suffix(".partial")
        fresh.write_text("".join(kept))
        os.replace(fresh, metrics)

    def to_the_end(self) -> TrainResult:
        """Iterate until the budget or the patience is used up."""
        stopped = "budget"
        while self._count.iteration < self._config.iterations:
            if reason := self._stop and self._validations and self._stop(self._validations):
                stopped = str(reason)
                break
            self._started_s = time.monotonic()
            self._algorithm.train()  # type: ignore[no-untyped-call]
            if self._config.patience and self._count.unimproved >= self._config.patience:
                stopped = "patience"
                break
        return TrainResult(
            out=self._out,
            best=self._out / BEST,
            metrics=self._out / METRICS,
            iterations=self._count.iteration,
            env_steps=self._count.env_steps,
            best_score=self._count.best_score,
            stopped=stopped,
        )

    def _after_iteration(self, algorithm: ReplayPPO, result: dict[str, Any]) -> None:
        """Count, move the curriculum on, validate, write the metrics line, then the checkpoint."""
        count, config = self._count, self._config
        took_s = time.monotonic() - self._started_s
        count.iteration += 1
        count.env_steps += config.batch_size
        count.elapsed_s += took_s
        sampled = result["env_runners"]
        count.episodes += int(sampled["episodes_this_iter"])
        advance_curriculum(algorithm, count.episodes)
        due = count.iteration % config.validate_every == 0 or count.iteration == config.iterations
        policy = frozen_copy(algorithm) if due else None
        improved = policy is not None and self._score(policy)
        result["validation"] = dict(count.validation)
        self._append_metrics(algorithm, result, took_s)
        if policy is not None:
            values = {**count.__dict__, "validation": dict(count.validation)}
            written = write_checkpoint(self._out, count.iteration, policy, capture(algorithm, values))
            if improved:
                point(self._out, BEST, written)
            remove_old(self._out, config.keep_checkpoints)
        self._report(result, took_s)

    def _score(self, policy: FrozenPolicy) -> bool:
        """Validate; True where this policy is the best so far."""
        count = self._count
        if self._validate is None:
            return True
        count.validation = {name: float(value) for name, value in self._validate(policy).items()}
        self._validations.append(count.validation)
        if SCORE not in count.validation:
            raise ContractError(f"validate returned {sorted(count.validation)}; it must contain {SCORE!r}")
        score = count.validation[SCORE]
        improved = count.best_score is None or score > count.best_score
        count.best_score = score if improved else count.best_score
        count.unimproved = 0 if improved else count.unimproved + 1
        return improved

    def _append_metrics(self, algorithm: ReplayPPO, result: dict[str, Any], took_s: float) -> None:
        count, sampled = self._count, result["env_runners"]
        line = {
            "iteration": count.iteration,
            "env_steps": count.env_steps,
            "episodes": count.episodes,
            "episodes_this_iteration": int(sampled["episodes_this_iter"]),
            "episode_return": _finite(sampled["episode_return_mean"]),
            "episode_length": _finite(sampled["episode_len_mean"]),
            **{name: _finite(value) for name, value in sampled["custom_metrics"].items()},
            **algorithm.batch_statistics,
            **result["info"]["learner"]["default_policy"]["learner_stats"],
            "validation": dict(count.validation),
            "steps_per_s": self._config.batch_size / took_s,
            "elapsed_s": count.elapsed_s,
        }
        with (self._out / METRICS).open("a") as stream:
            stream.write(json.dumps(line) + "\n")

    def _report(self, result: dict[str, Any], took_s: float) -> None:
        if self._progress is None:
            return
        count, config = self._count, self._config
        per_iteration_s = count.elapsed_s / count.iteration
        self._progress(
            Progress(
                iteration=count.iteration,
                iterations=config.iterations,
                env_steps=count.env_steps,
                steps_per_s=config.batch_size / took_s,
                seconds_left=per_iteration_s * (config.iterations - count.iteration),
                episode_return=_finite(result["env_runners"]["episode_return_mean"]),
                score=count.validation.get(SCORE),
                best_score=count.best_score,
            )
        )


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None  # NaN: no episode has finished yet


def _claim(out: Path, config: TrainConfig, resume: bool) -> None:
    """Take the folder for this run, or check that it holds the run to continue."""
    stored = out / CONFIG
    if resume:
        if not (out / LATEST).exists():
            raise ContractError(f"{out} holds no checkpoint to resume from; start without resume")
        was = TrainConfig.parse(json.loads(stored.read_text()))
        changed = {
            name: (old, new)
            for (name, old), new in zip(was.model_dump().items(), config.model_dump().values(), strict=True)
            if old != new and name not in _MAY_CHANGE
        }
        if changed:
            shown = ", ".join(f"{name} {old!r} -> {new!r}" for name, (old, new) in changed.items())
            raise ContractError(
                f"{out} was started with other settings ({shown}); resume with those or use another folder"
            )
    elif (out / METRICS).exists():
        raise ContractError(f"{out} already holds a run; resume it or choose another folder")
    out.mkdir(parents=True, exist_ok=True)
    stored.write_text(config.model_dump_json(indent=1) + "\n")


#: Settings a resumed run may have changed: they decide how long it runs, not what it computes.
_MAY_CHANGE: Final = frozenset({"total_env_steps", "patience", "keep_checkpoints"})


@contextmanager
def _ray_running(num_env_runners: int) -> Any:
    """Ray, started here if nobody has, and stopped again only then."""
    started = not ray.is_initialized()
    if started:
        ray.init(
            num_cpus=max(2, num_env_runners + 1),
            include_dashboard=False,
            log_to_driver=False,
            configure_logging=False,
        )
    try:
        yield
    finally:
        if started:
            ray.shutdown()


@contextmanager
def _torch_threads(n: int) -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)
