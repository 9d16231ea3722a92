"""Made run and sweep folders: what training and a sweep leave behind, without any training."""

import json
from pathlib import Path

import numpy as np

from kalshi_platform.evaluation.judging.validation import VALIDATION_FILE, Validation
from kalshi_platform.evaluation.statistics.bootstrap import BootstrapConfig, ratio_interval
from kalshi_platform.learning.training.checkpoint import BEST, CHECKPOINTS
from kalshi_platform.learning.training.metrics import METRICS
from kalshi_platform.learning.training.session import RUN_FILE, RunSettings
from kalshi_platform.learning.tuning.load_runs import BASELINES_FILE
from kalshi_platform.learning.tuning.sweep_record import SWEEP_FILE, SweepRecord, TrialRecord
from kalshi_platform.models.registry.provenance import DataCount
from kalshi_platform.storage.sealed import seal

DATASET = "0123456789ab"


def make_validation(returns, trade_rate=0.1):
    """The validation of a policy that earned ``returns`` (E,)."""
    returns = np.asarray(returns, np.float64)
    i = ratio_interval(returns, np.ones_like(returns), BootstrapConfig(resamples=400))
    spread = max(float(returns.std()), 1e-9)
    return Validation(
        score=i.estimate,
        low=i.low,
        high=i.high,
        sharpe=float(returns.mean()) / spread if returns.size >= 3 else None,
        trade_rate=trade_rate,
        max_drawdown=0.02,
        events={f"EVENT-{k:03d}": float(v) for k, v in enumerate(returns)},
        judged_on={"simulated": DataCount(events=len(returns), blocks=len(returns))},
    )


def make_run(folder: Path, returns=None, seed=0, digest=DATASET, iterations=6, trade_rate=0.1, **values):
    """A run folder; ``values`` are settings of train (learning_rate=...). No returns: never validated."""
    folder.mkdir(parents=True)
    settings = RunSettings().with_values({"train.seed": seed} | {f"train.{n}": v for n, v in values.items()})
    record = {
        "settings": settings.model_dump(mode="json"),
        "dataset": "data/made",
        "dataset_digest": digest,
        "feature_digest": "fea7",
        "commit": "c0ffee",
    }
    (folder / RUN_FILE).write_text(json.dumps(record))
    found = None if returns is None else make_validation(returns, trade_rate)
    lines = []
    for k in range(1, iterations + 1):
        score = {} if found is None or k < 2 else {"score": found.score * min(1.0, k // 2 * 2 / iterations)}
        lines.append(json.dumps({"iteration": k, "env_steps": 4096 * k, "validation": score}))
    (folder / METRICS).write_text("\n".join(lines) + "\n")
    if found is not None:
        checkpoint = folder / CHECKPOINTS / f"{iterations:06d}"
        checkpoint.mkdir(parents=True)
        (checkpoint / VALIDATION_FILE).write_text(found.model_dump_json())
        seal(checkpoint)
        (folder / BEST).symlink_to(checkpoint.relative_to(folder))
    return found


def trial(id, found=None, stage="sweep", status="finished", seed=0, reason="used its whole budget", **values):
    """The record of a trial whose run folder ``make_run`` writes."""
    return TrialRecord(
        id=id,
        stage=stage,
        values={f"train.{n}": v for n, v in values.items()},
        seed=seed,
        status=status,
        reason=reason,
        iterations=6,
        env_steps=24_576,
        restarts=0,
        score=None if found is None else found.score,
        run=f"{'trials' if stage == 'sweep' else 'finalists'}/{id}",
    )


def make_sweep(folder: Path, trials, winner=None, baselines=None, name="made", **changes):
    """Write sweep.json (and baselines.json) round runs that are there already."""
    folder.mkdir(parents=True, exist_ok=True)
    record = SweepRecord(
        name=name,
        question="Does a larger learning rate help?",
        expectation="Not beyond 1e-3.",
        command="python -m tune_experiments.made --smoke",
        dataset="data/made",
        dataset_digest=DATASET,
        feature_digest="fea7",
        scheduler="ASHA",
        space={"train.learning_rate": [1e-4, 3e-4, 1e-3], "train.level": ["simple", "moderate"]},
        commit="c0ffee",
        started_at="2026-11-24T15:00:00+00:00",
        wall_s=120.0,
        trials=tuple(trials),
        winner=winner,
        why="best validation score of its rung",
    )
    (folder / SWEEP_FILE).write_text(record.replace(**changes).model_dump_json())
    if baselines is not None:
        (folder / BASELINES_FILE).write_text(json.dumps(baselines))
    return record


def whole_sweep(folder: Path, n_trials=6, n_events=24, seed=1, edge=0.02, finalists=5):
    """A sweep with a stopped and a failed trial, a truly better winner, finalists and one baseline."""
    rng = np.random.default_rng(seed)
    common = rng.normal(0.0, 0.015, n_events)
    rates, levels = (1e-4, 3e-4, 1e-3, 3e-3), ("simple", "moderate")
    records, scores = [], {}
    for k in range(n_trials):
        returns = common + rng.normal(edge if k == 1 else -0.002, 0.015, n_events)
        values = {
            "learning_rate": rates[k % 4],
            "level": levels[k // 2 % 2],
            "entropy_coeff": 0.005 * (k % 3 + 1),
        }
        found = make_run(folder / "trials" / f"t{k:02d}", returns, seed=0, **values)
        ended = {} if k != 2 else {
            "status": "stopped", "reason": "no gain of 0.001 in 4 validations; best at iteration 24",
        }  # fmt: skip
        records.append(trial(f"t{k:02d}", found, **ended, **values))
        scores[f"t{k:02d}"] = found.score
    records.append(
        trial(
            "t98",
            status="failed",
            reason="TrainingError: loss is not finite",
            learning_rate=0.1,
            level="simple",
        )
    )
    make_run(folder / "trials" / "t99", None, learning_rate=1e-3)
    records.append(
        trial(
            "t99", status="unfinished", reason="the sweep ended before it", learning_rate=1e-3, level="simple"
        )
    )
    for s in range(finalists):
        returns = common + rng.normal(edge * 0.7, 0.015, n_events)
        found = make_run(folder / "finalists" / f"f{s}", returns, seed=s + 1, learning_rate=3e-4)
        records.append(trial(f"f{s}", found, "finalist", seed=s + 1, learning_rate=3e-4, level="simple"))
    base = {"market maker": {f"EVENT-{k:03d}": float(v) for k, v in enumerate(common - 0.001)}}
    make_sweep(folder, records, max(scores, key=scores.get), base)
    return scores
