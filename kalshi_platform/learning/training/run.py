"""One training run, from settings to a folder with the best policy: ``train``.

Folder     config.json, metrics.jsonl (a line an iteration), checkpoints/, best, latest
Invariant  the same settings and data give the same numbers, whether the run was interrupted or not.
           A refused run writes nothing; a run whose numbers are not finite stops before it writes them.
Loss       a crash costs the work since the last checkpoint: one iteration, unless settings say otherwise.
"""

import logging
import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import ray
from ray.exceptions import RayActorError

from kalshi_platform.domain.ending import sigterm_raises
from kalshi_platform.domain.errors import WorkersLostError
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.domain.quiet_ray import ray_logs, start_ray
from kalshi_platform.evaluation.judging.validation import Validation
from kalshi_platform.learning.training.checkpoint import (
    BEST,
    best_number,
    newest_number,
    newest_sound,
    point,
    read_checkpoint,
    remove_old,
    write_checkpoint,
)
from kalshi_platform.learning.training.collapse import Collapse
from kalshi_platform.learning.training.config import TrainConfig
from kalshi_platform.learning.training.curves import Curves
from kalshi_platform.learning.training.finite import require_finite_scores
from kalshi_platform.learning.training.folder import claim, require_claimable
from kalshi_platform.learning.training.metrics import METRICS, keep_metrics, read_metrics
from kalshi_platform.learning.training.pace import is_validated, seconds_left
from kalshi_platform.learning.training.ppo import ReplayPPO, build_algorithm, require_buildable
from kalshi_platform.learning.training.progress import Progress
from kalshi_platform.learning.training.source import TrainingSource
from kalshi_platform.learning.training.state import advance_curriculum, capture, frozen_copy, restore
from kalshi_platform.learning.training.stopping import without_gain
from kalshi_platform.models.networks.device import torch_threads
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.storage import locks
from kalshi_platform.storage.whole_file import append_line

Validate = Callable[[FrozenPolicy], Validation]
#: Called after each validation with the numbers of all so far; a reason in words ends the run.
Stop = Callable[[Sequence[Mapping[str, Any]]], str | None]

_log = logging.getLogger(__name__)


class TrainResult(NamedTuple):
    """Result of a run; ``best`` is the folder of the policy to evaluate."""

    out: Path
    best: Path
    metrics: Path
    iterations: int
    env_steps: int
    best_score: float | None
    stopped: str  # "budget", "patience" or the reason of the ``stop`` hook
    restarts: int = 0  # times sampling workers were lost and the run went on from its last checkpoint
    collapse: str = ""  # what is wrong with how the last policy validated trades; empty: nothing
    best_collapse: str = ""  # the same of the best policy
    best_iteration: int | None = None


class Watchers(NamedTuple):
    """Callers that look at a run while it goes on; none of them changes its numbers."""

    validate: Validate | None = None
    progress: Callable[[Progress], None] | None = None
    stop: Stop | None = None


@dataclass
class _Counters:
    """Counts of a run, stored in every checkpoint."""

    iteration: int = 0
    env_steps: int = 0
    episodes: int = 0
    elapsed_s: float = 0.0  # of everything: start, iterations, validations, checkpoints
    startup_s: float = 0.0
    validation_s: float = 0.0
    best_score: float | None = None
    best_iteration: int | None = None
    validations: list[dict[str, float]] = field(default_factory=list)
    stopped: str = ""
    collapse: dict[str, Any] = field(default_factory=dict)  # of the last validation, as a Collapse
    best_collapse: str = ""  # message about the best policy

    @property
    def last_numbers(self) -> dict[str, float]:
        """Numbers of the last validation, which stand in every line until the next one."""
        return {} if not self.validations else dict(self.validations[-1])


def train(
    source: TrainingSource,
    out: Path,
    config: TrainConfig,
    validate: Validate | None = None,
    progress: Callable[[Progress], None] | None = None,
    resume: bool = False,
    stop: Stop | None = None,
    mutated: frozenset[str] = frozenset(),
    papers: Mapping[str, str] | None = None,
) -> TrainResult:
    """Train until the budget or the patience is used up, or ``stop`` says so; everything goes to ``out``.

    ``validate`` scores a frozen policy on held-out markets after the first iteration, the last and every
    ``validate_every``; its numbers stand in every report, carried forward. Without it the newest policy is
    the best.
    ``resume`` continues from the newest sound checkpoint; ``mutated`` names settings that may then differ.
    ``papers`` are further files of the folder, by name. A refused run writes nothing.
    Where sampling workers die, the run goes on from its last checkpoint, ``max_restarts`` times.
    Raises TrainingError when a sampler fails or a number is not finite, ContractError when ``out`` holds
    another run, Terminated on SIGTERM.
    """
    out = Path(out)
    watchers = Watchers(validate, progress, stop)
    require_claimable(out, config, resume, mutated)
    require_buildable(source, config)
    with (
        sigterm_raises(),
        _ray_running(config.num_env_runners),
        torch_threads(config.torch_threads),
        locks.writing(out),
    ):
        claim(out, config, resume, mutated, papers)
        restarts = 0
        while True:
            try:
                result = _attempt(source, out, config, watchers, resume)
            except (WorkersLostError, RayActorError) as err:
                if restarts == config.max_restarts:
                    raise WorkersLostError(
                        f"sampling workers died {restarts + 1} times, last: {err}; {out} holds everything up "
                        "to the last checkpoint: give the machine more memory or sample with fewer workers; "
                        f"logs of the workers: {ray_logs(ray)}"
                    ) from None
                restarts += 1
                resume = newest_number(out) is not None
                place = "the last checkpoint" if resume else "the start"
                _log.warning("sampling workers died: %s; going on from %s", str(err).split("\n")[0], place)
            else:
                return result._replace(restarts=restarts)


def _attempt(
    source: TrainingSource, out: Path, config: TrainConfig, watchers: Watchers, resume: bool
) -> TrainResult:
    begun_s = time.monotonic()
    algorithm = build_algorithm(source, config)
    try:
        run = _Run(algorithm, out, config, watchers, begun_s)
        if resume:
            run.resume()
        else:
            (out / METRICS).unlink(missing_ok=True)
        return run.to_the_end()
    finally:
        algorithm.stop()  # type: ignore[no-untyped-call]
        # RLlib makes an empty folder for every run in ~/ray_results; ours is ``out``.
        shutil.rmtree(algorithm.logdir, ignore_errors=True)


class _Run:
    """The loop of one attempt, and the hook that completes every result."""

    def __init__(
        self, algorithm: ReplayPPO, out: Path, config: TrainConfig, watchers: Watchers, begun_s: float
    ) -> None:
        self._algorithm = algorithm
        self._out = out
        self._config = config
        self._watch = watchers
        self._count = _Counters()
        self._begun_s = begun_s
        self._before_s = 0.0  # that earlier attempts took
        self._started_s = begun_s  # of the iteration
        self._curves: Curves | None = None
        callbacks: Any = algorithm.callbacks
        callbacks.hooks.append(self._after_iteration)

    def resume(self) -> None:
        """Continue from the newest sound checkpoint; metrics written after it are removed."""
        folder = newest_sound(self._out)
        policy, state = read_checkpoint(folder)
        restore(self._algorithm, policy, state)
        self._count = _Counters(**state.values["run"])
        self._before_s = self._count.elapsed_s
        keep_metrics(self._out, self._count.iteration)
        # The link may name an older one: the run was killed before it was made. Where it names this number in
        # another folder, the run took over another's weights: they are not what scored best.
        if self._is_best and best_number(self._out) != self._count.iteration:
            point(self._out, BEST, folder)

    @property
    def _is_best(self) -> bool:
        """True where the policy of the present iteration is the best so far."""
        return self._watch.validate is None or self._count.best_iteration == self._count.iteration

    def to_the_end(self) -> TrainResult:
        """Iterate until the budget or the patience is used up, or the stop hook says so."""
        count = self._count
        with closing(Curves(self._out, read_metrics(self._out) if count.iteration else ())) as self._curves:
            count.startup_s += time.monotonic() - self._begun_s
            while count.iteration < self._config.iterations and not self._has_stopped():
                self._started_s = time.monotonic()
                self._algorithm.train()  # type: ignore[no-untyped-call]
        return TrainResult(
            out=self._out,
            best=self._out / BEST,
            metrics=self._out / METRICS,
            iterations=count.iteration,
            env_steps=count.env_steps,
            best_score=count.best_score,
            stopped=count.stopped or "budget",
            collapse=Collapse.parse(count.collapse).message,
            best_collapse=count.best_collapse,
            best_iteration=count.best_iteration,
        )

    def _has_stopped(self) -> bool:
        """True where the patience is used up or the stop hook gives a reason.

        The loop asks after every iteration and at the start of a resumed run, which must not go on past its
        stop.
        """
        count, config = self._count, self._config
        scores = [numbers["score"] for numbers in count.validations]
        count.stopped = ""
        if config.patience and without_gain(scores, config.min_gain) >= config.patience:
            count.stopped = "patience"
        elif self._watch.stop is not None and count.validations:
            count.stopped = self._watch.stop(tuple(count.validations)) or ""
        return bool(count.stopped)

    def _after_iteration(self, algorithm: ReplayPPO, result: dict[str, Any]) -> None:
        """Count, move the curriculum on, validate, write the metrics line, then the checkpoint."""
        count, config = self._count, self._config
        took_s = time.monotonic() - self._started_s
        count.iteration += 1
        count.env_steps += config.batch_size
        sampled = result["env_runners"]
        count.episodes += int(sampled["episodes_this_iter"])
        advance_curriculum(algorithm, count.episodes)
        to_validate = is_validated(config, count.iteration)
        to_keep = to_validate or count.iteration % config.checkpoint_every == 0
        policy = frozen_copy(algorithm) if to_keep else None
        validation = self._score(policy) if policy is not None and to_validate else None
        result["validation"] = count.last_numbers
        count.elapsed_s = self._before_s + time.monotonic() - self._begun_s
        self._append_metrics(algorithm, result, took_s)
        if policy is not None:
            self._keep(policy, validation)
        self._report(result, took_s, "" if validation is None else self._notice(validation))

    def _score(self, policy: FrozenPolicy) -> Validation | None:
        """Validate the policy and note whether it is the best; None where the run has no validation."""
        if self._watch.validate is None:
            return None
        count = self._count
        begun_s = time.monotonic()
        found = self._watch.validate(policy)
        count.validation_s += time.monotonic() - begun_s
        require_finite_scores(found.numbers, count.iteration)
        at = {"iteration": count.iteration, "env_steps": count.env_steps}
        count.validations.append({**found.numbers, **at})
        # The first policy has learned nothing yet: how it trades says nothing of the run.
        is_untrained = count.iteration == 1 < self._config.iterations
        state = Collapse.parse(count.collapse).after(None if is_untrained else found.collapse)
        count.collapse = state.model_dump()
        if count.best_score is None or found.score > count.best_score:
            count.best_score, count.best_iteration = found.score, count.iteration
            count.best_collapse = found.collapse.message if found.collapse else ""
        return found

    def _keep(self, policy: FrozenPolicy, validation: Validation | None) -> None:
        """Write the checkpoint and point ``best`` at it if it is the best so far.

        The best is never removed.
        """
        count = self._count
        state = capture(self._algorithm, dict(count.__dict__))
        write_checkpoint(self._out, count.iteration, policy, state, validation, is_best=self._is_best)
        remove_old(self._out, self._config.keep_checkpoints)

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
            "validation": result["validation"],
            "collapse": count.collapse.get("message") or None,  # of the last validation, carried forward
            "steps_per_s": self._config.batch_size / took_s,  # sampled and learned from
            "elapsed_s": count.elapsed_s,
        }
        append_line(self._out / METRICS, json_text(line))
        if self._curves is not None:
            self._curves.add(line)

    def _notice(self, validation: Validation) -> str:
        """Sentence about a collapse that this validation found, or about its end."""
        return Collapse.parse(self._count.collapse).notice(self._count.iteration, validation.trade_rate)

    def _report(self, result: dict[str, Any], took_s: float, notice: str) -> None:
        if self._watch.progress is None:
            return
        count, config = self._count, self._config
        iterations_s = count.elapsed_s - count.startup_s - count.validation_s
        left_s = seconds_left(
            config, count.iteration, len(count.validations), iterations_s, count.validation_s
        )
        self._watch.progress(
            Progress(
                iteration=count.iteration,
                iterations=config.iterations,
                env_steps=count.env_steps,
                steps_per_s=config.batch_size / took_s,
                seconds_left=left_s,
                episode_return=_finite(result["env_runners"]["episode_return_mean"]),
                score=count.last_numbers.get("score"),
                best_score=count.best_score,
                best_iteration=count.best_iteration,
                validations=tuple(count.validations),
                elapsed_s=count.elapsed_s,
                collapse=count.collapse.get("message", ""),
                notice=notice,
            )
        )


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None  # NaN: no episode has finished yet


@contextmanager
def _ray_running(num_env_runners: int) -> Any:
    """Use the Ray this process is connected to, else start one of its own that ends with the block."""
    started = not ray.is_initialized()
    if started:
        start_ray(ray, num_cpus=max(2, num_env_runners + 1), include_dashboard=False)
    try:
        yield
    finally:
        if started:
            ray.shutdown()
