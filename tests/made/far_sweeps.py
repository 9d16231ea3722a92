"""Sweeps on nodes that share nothing (nodes.py): how far they are, what they say, what their store holds."""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from kalshi_platform.learning.tuning.sweep_record import SweepRecord
from made.nodes import Nodes

DATASET: Final = "s3://datasets/current"
REGISTRY: Final = "s3://registry"
#: Trials of the smallest network; without a scheduler nothing depends on which of them reports first.
SMALL: Final = (
    "--smoke", "--set", "train.n_envs=16", "--set", "train.fragment_length=32",
    "--set", "train.minibatch=128", "--set", "episodes.min_steps=10", "--set", "episodes.max_steps=40",
    "--sweep", "scheduler=none", "--sweep", "patience=0", "--sweep", "seeds=1",
)  # fmt: skip
#: Fields of a line of metrics that tell the time.
CLOCK: Final = ("steps_per_s", "elapsed_s")


def iterations(n: int, validate_every: int = 2) -> tuple[str, ...]:
    """Settings of trials of ``n`` iterations."""
    steps = f"train.total_env_steps={512 * n}"
    return ("--set", steps, "--set", f"train.validate_every={validate_every}")


class FarSweep:
    """A sweep that the desk submitted; ``log`` is what its user sees."""

    def __init__(
        self, nodes: Nodes, prefix: str, log: Path, *words: str, environ: tuple[str, ...] = ()
    ) -> None:
        """Submit ``execution_style`` with ``words`` into the prefix of the bucket ``sweeps``."""
        self.nodes, self.prefix, self.log = nodes, prefix, log
        self._read = log.stat().st_size if log.exists() else 0
        given = [word for pair in environ for word in ("--env", pair)]
        self.process: subprocess.Popen[bytes] = nodes.submit(
            log, "execution_style", *given, "--", *places(prefix), *SMALL, *words
        )

    @property
    def said(self) -> str:
        """Text of its log since it was submitted."""
        return self.log.read_bytes()[self._read :].decode()

    def wait(self, timeout_s: float = 900) -> int:
        """Wait for its end; returns its exit status."""
        return self.process.wait(timeout=timeout_s)

    def wait_until(self, true: Callable[[], bool], timeout_s: float = 600) -> None:
        """Wait for ``true``; the sweep must still be running then."""
        end_s = time.monotonic() + timeout_s
        while not true():
            assert self.process.poll() is None, f"ended too early: {self.said[-4000:]}"
            assert time.monotonic() < end_s, self.said[-4000:]
            time.sleep(0.2)

    def reached(self) -> dict[str, int]:
        """Iterations that each trial of the first stage has in the storage."""
        runs = {key.split("/")[2] for key in self.nodes.store.keys("sweeps", f"{self.prefix}/trials/")}
        return {run: len(metrics(self.nodes, self.prefix, f"trials/{run}")) for run in sorted(runs)}

    def tell(self, text: str) -> None:
        """Write into the log what happens to it from outside."""
        with self.log.open("a") as out:
            out.write(f"\n### {time.strftime('%H:%M:%S')} {text}\n\n")


def places(prefix: str) -> tuple[str, ...]:
    """Options that name dataset, storage and registry."""
    return ("--dataset", DATASET, "--storage", f"s3://sweeps/{prefix}", "--registry", REGISTRY)


def record_of(nodes: Nodes, prefix: str) -> SweepRecord:
    """Record of a sweep in its storage."""
    return SweepRecord.parse(json.loads(nodes.store.read("sweeps", f"{prefix}/sweep.json")))


def metrics(nodes: Nodes, prefix: str, run: str) -> list[dict[str, Any]]:
    """Lines of a run's metrics in the storage, without the clock."""
    blocks = nodes.store.keys("sweeps", f"{prefix}/{run}/metrics/")
    return timeless(b"".join(nodes.store.read("sweeps", key) for key in blocks))


def timeless(lines: bytes) -> list[dict[str, Any]]:
    """Lines of metrics without the fields that tell the time."""
    found = [json.loads(line) for line in lines.splitlines() if line.endswith(b"}")]
    return [{k: v for k, v in line.items() if k not in CLOCK} for line in found]
