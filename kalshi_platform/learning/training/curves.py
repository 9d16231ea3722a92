"""Curves of a run for TensorBoard: event files beside its metrics, written again from them when it resumes.

Folder     <run>/tensorboard/; ``kalshi-platform dashboard tensorboard RUN`` shows it while the run goes on
Source     metrics.jsonl, line by line: what a curve shows stands there, and a resumed run doubles no point
Writing    in the run's own thread: tensorboardX's SummaryWriter hands its points to a thread that a full disk
           ends, and the run then waits for ever where that thread's queue is full
Units      in every name: percent of capital, decisions, dollars, nats; the axis is environment steps
"""

import shutil
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from socket import gethostname
from typing import Any, Final, NamedTuple

from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import RecordWriter
from tensorboardX.summary import scalar

from kalshi_platform.domain.actions import ACTION_NAMES

FOLDER: Final = "tensorboard"


class _Curve(NamedTuple):
    """One curve: its name in TensorBoard, the key of a metrics line, the factor to its unit."""

    name: str
    key: str
    factor: float = 1.0


_VALIDATION: Final = (
    _Curve("validation/return_percent_of_capital", "score", 100),
    _Curve("validation/return_low_percent_of_capital", "low", 100),
    _Curve("validation/return_high_percent_of_capital", "high", 100),
    _Curve("validation/trade_rate_percent_of_decisions", "trade_rate", 100),
    _Curve("validation/max_drawdown_percent_of_capital", "max_drawdown", 100),
    _Curve("validation/sharpe_ratio_per_block", "sharpe"),
)
_TRAINING: Final = (
    _Curve("training/reward_per_episode_scaled", "episode_return"),
    _Curve("training/length_of_episode_decisions", "episode_length"),
    _Curve("training/pnl_per_episode_dollars", "pnl_usd_mean"),
    _Curve("training/fees_per_episode_dollars", "fees_usd_mean"),
    _Curve("training/fills_per_episode", "n_fills_mean"),
    _Curve("learning/entropy_nats", "entropy"),
    _Curve("learning/kl_nats", "kl"),
    _Curve("learning/clipped_percent_of_samples", "clip_share", 100),
    _Curve("learning/policy_loss", "policy_loss"),
    _Curve("learning/value_loss", "value_loss"),
    _Curve("learning/explained_variance", "explained_variance"),
    _Curve("learning/gradient_norm", "grad_gnorm"),
    _Curve("pace/steps_per_second", "steps_per_s"),
)


def points(line: Mapping[str, Any], validated_at: int) -> list[tuple[str, float, int]]:
    """(name, value, environment steps) of every curve at one line of the metrics.

    A validation counts once, where it was made: after ``validated_at`` steps, the last validation's.
    """
    if "env_steps" not in line:
        return []  # a line that a hand cut: the log has named the hole
    step = int(line["env_steps"])
    found = [(c.name, line.get(c.key), c.factor, step) for c in _TRAINING]
    for action, share in zip(ACTION_NAMES, line.get("action_shares") or (), strict=False):
        found.append((f"actions/{action}_percent_of_decisions", share, 100.0, step))
    validation = line.get("validation") or {}
    at = int(validation.get("env_steps", 0))
    if at > validated_at:
        found += [(c.name, validation.get(c.key), c.factor, at) for c in _VALIDATION]
    return [(name, factor * float(value), at) for name, value, factor, at in found if value is not None]


class Curves:
    """Writer of one run's event files; OSError where the disk refuses a point, as for a line of metrics."""

    def __init__(self, run: Path, lines: Iterable[Mapping[str, Any]] = ()) -> None:
        """Begin the run's curves anew with ``lines``, the metrics that the run has already."""
        folder = run / FOLDER
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self._events = RecordWriter(str(folder / f"events.out.tfevents.{int(time.time())}.{gethostname()}"))
        self._validated_at = 0
        try:
            self._add(Event(file_version="brain.Event:2"))
            for line in lines:
                self._write(line)
            self._events.flush()
        except OSError:
            with suppress(OSError):  # closing writes again, to the same full disk
                self.close()
            raise

    def add(self, line: Mapping[str, Any]) -> None:
        """Write one line of the metrics; its points are on the disk when this returns."""
        self._write(line)
        self._events.flush()

    def close(self) -> None:
        """Close the event file."""
        self._events.close()

    def _write(self, line: Mapping[str, Any]) -> None:
        for name, value, step in points(line, self._validated_at):
            self._add(Event(step=step, summary=scalar(name, value)))
        self._validated_at = int((line.get("validation") or {}).get("env_steps", self._validated_at))

    def _add(self, event: Event) -> None:
        event.wall_time = time.time()
        self._events.write(event.SerializeToString())
