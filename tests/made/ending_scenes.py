"""Commands that are ended by a signal, what they need beforehand, and what must hold afterwards.

Scene     a command line, how long it usually runs, and a check of what it leaves: nothing, or whole files.
Made      once: recordings, a dataset, a run, a registry, keys; each command writes to a place of its own.
"""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from kalshi_platform.data.dataset.inspect import find_problems
from kalshi_platform.data.dataset.manifest import MANIFEST_NAME
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.learning.training.checkpoint import newest_sound, read_checkpoint, stored_checkpoints
from kalshi_platform.learning.training.metrics import METRICS, read_metrics
from kalshi_platform.models.registry.store import CHAMPION, Registry
from kalshi_platform.trading.recorder.status import read_state
from made.signalled import PROGRAM, ROOT

#: Settings of a run that takes seconds.
TINY = (
    "--level",
    "tiny",
    "--set",
    "train.n_envs=8",
    "--set",
    "train.fragment_length=32",
    "--set",
    "train.minibatch=64",
)


class Scene(NamedTuple):
    """One command to be ended."""

    command: tuple[str, ...]
    usual_s: float  # from its start to its end, or to where it only serves
    check: Callable[[], None] = lambda: None  # AssertionError where something is half there


class Place:
    """What the commands need, below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sims, self.dataset, self.run = folder / "sims", folder / "ds", folder / "run"
        self.registry, self.keys = folder / "registry", folder / "keys"
        self._n = 0

    def make(self, n_events: int = 40, *, with_model: bool = True) -> None:
        """Make everything with the commands themselves; what is there already stays."""
        events, place = str(n_events), ("--dataset", self.dataset)
        self._made(self.sims, "simulate", "--events", events, "--seed", "3", "--exchange", "default")
        self._made(self.dataset, "dataset", "build", "--workers", "0", "--input", self.sims)
        self._made(self.keys, "simexchange", "keys")
        if with_model:
            self._made(self.run, "train", *place, "--steps", "2048", *TINY)
            self._made(self.registry, "models", "register", "--run", self.run, *place, out="--registry")
            registry = Registry(self.registry)
            registry.promote(CHAMPION, registry.models()[0].id, reason="made")

    def _made(self, target: Path, *command: object, out: str = "--out") -> None:
        """Make ``target`` by a command, unless it is there."""
        if target.exists():
            return
        done = subprocess.run(
            [*PROGRAM, *map(str, (*command, out, target))],
            capture_output=True, text=True, check=False, timeout=400,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert done.returncode == 0, f"{command}: {done.stderr[-2_000:]}"

    def new(self, name: str) -> Path:
        """A path that nothing has."""
        self._n += 1
        return self.folder / f"{name}-{os.getpid()}-{self._n}"

    def scenes(self) -> dict[str, Callable[[], Scene]]:
        """Makers of every scene, by name; the cheap ones first."""
        return {
            "simulate": self._simulate,
            "dataset build": self._build,
            "dataset build (Ray)": lambda: self._build(workers=2),
            "dataset verify": lambda: self._plain("dataset", "verify", self.dataset, usual_s=2),
            "calibrate": self._calibrate,
            "plan": lambda: self._plain("plan", "--markets", "1000", usual_s=2),
            "doctor": lambda: self._plain("doctor", usual_s=4),
            "runs list": lambda: self._plain("runs", "list", self.folder, usual_s=3),
            "models list": lambda: self._plain("models", "list", "--registry", self.registry, usual_s=3),
            "simexchange serve": lambda: self._plain(
                "simexchange", "serve", "--keys", self.keys, "--events", "4", usual_s=6
            ),
            "record": self._record,
            "train": self._train,
            "train --resume": lambda: self._train(resume=True),
            "evaluate": self._evaluate,
            "models register": self._register,
            "tiers build": self._tiers,
            "progressive": self._progressive,
            "quickstart": self._quickstart,
            "dashboard tensorboard": lambda: self._plain(
                "dashboard", "tensorboard", self.run, "--port", "0", usual_s=8
            ),
            "dashboard mlflow": lambda: self._plain("dashboard", "mlflow", "--port", "0", usual_s=12),
            "loadtest": lambda: self._plain(
                "loadtest", "--url", "http://127.0.0.1:9", "--out", self.new("load"), usual_s=3
            ),
            "sweep --local": self._sweep,
            "serve": lambda: self._plain("serve", "--registry", self.registry, "--port", "0", usual_s=30),
        }

    def _plain(self, *command: object, usual_s: float) -> Scene:
        return Scene((*PROGRAM, *map(str, command)), usual_s)

    def _simulate(self) -> Scene:
        out = self.new("sims")
        command = ("simulate", "--events", "60", "--exchange", "default", "--out", str(out))
        return Scene((*PROGRAM, *command), 8, lambda: nothing_or(out, all_readable))

    def _build(self, workers: int = 0) -> Scene:
        out = self.new("ds")
        command = ("dataset", "build", "--workers", workers, "--input", self.sims, "--out", out)
        return Scene((*PROGRAM, *map(str, command)), 15 if workers else 8, lambda: whole_dataset(out))

    def _calibrate(self) -> Scene:
        out = self.new("cal")
        command = ("calibrate", "--recorded", self.dataset, "--simulated", self.dataset, "--out", out)
        return Scene((*PROGRAM, *map(str, command)), 6, lambda: whole_pages(out))

    def _record(self) -> Scene:
        out = self.new("rec")
        command = (
            "record",
            "--series",
            "KXA",
            "--out",
            out,
            "--rest-url",
            "http://127.0.0.1:9/x",
            "--stream-url",
            "ws://127.0.0.1:9/x",
        )
        return Scene((*PROGRAM, *map(str, command)), 4, lambda: whole_recording(out))

    def _train(self, resume: bool = False) -> Scene:
        out = self.new("run")
        if resume:
            subprocess.run(["cp", "-a", str(self.run), str(out)], check=True)
            command = ["train", "--resume", "--out", out, "--steps", 40_000]
        else:
            command = ["train", "--dataset", self.dataset, "--out", out, "--steps", 20_000, *TINY]
        return Scene((*PROGRAM, *map(str, command)), 20, lambda: whole_run(out))

    def _evaluate(self) -> Scene:
        out = self.new("judged")
        command = ("evaluate", "--run", self.run, "--dataset", self.dataset, "--out", out)
        return Scene((*PROGRAM, *map(str, command)), 12, lambda: whole_pages(out))

    def _register(self) -> Scene:
        registry = self.new("registry")
        command = ("models", "register", "--run", self.run, "--dataset", self.dataset, "--registry", registry)
        return Scene((*PROGRAM, *map(str, command)), 12, lambda: whole_registry(registry))

    def _tiers(self) -> Scene:
        registry, out = self.new("registry"), self.new("tiers")
        subprocess.run(["cp", "-a", str(self.registry), str(registry)], check=True)
        model = Registry(registry).models()[0].id
        command = (
            "tiers",
            "build",
            model,
            "--dataset",
            self.dataset,
            "--registry",
            registry,
            "--out",
            out,
            "--smoke",
        )
        return Scene((*PROGRAM, *map(str, command)), 25, lambda: whole_registry(registry))

    def _progressive(self) -> Scene:
        out = self.new("prog")
        command = (
            "progressive",
            "--dataset",
            self.dataset,
            "--out",
            out,
            "--levels",
            "tiny,simple",
            "--steps",
            4_096,
        )
        return Scene((*PROGRAM, *map(str, command)), 40, lambda: whole_runs(out))

    def _quickstart(self) -> Scene:
        out = self.new("quick")
        command = ("quickstart", "--input", self.sims, "--out", out, "--seeds", 1, "--steps", 8_192)
        return Scene((*PROGRAM, *map(str, command)), 60, lambda: whole_runs(out))

    def _sweep(self) -> Scene:
        out = self.new("sweep")
        command = (
            PROGRAM[0],
            "-m",
            "tune_experiments.hyperparameters",
            "--dataset",
            self.dataset,
            "--out",
            out,
            "--smoke",
            "--local",
        )
        return Scene(tuple(map(str, command)), 60, lambda: whole_runs(out))


def nothing_or(path: Path, check: Callable[[Path], None]) -> None:
    """Check ``path`` where it is there."""
    if path.exists():
        check(path)


def no_partial(folder: Path) -> None:
    """Refuse files that were begun and not finished under ``folder``."""
    partial = [p for p in folder.rglob("*") if ".partial" in p.name or p.name.endswith(".tmp")]
    assert not partial, f"half written: {partial[:3]}"


def all_readable(folder: Path) -> None:
    """Refuse recordings that no import could read."""
    from made.market_files import load

    no_partial(folder)
    load(folder)


def whole_dataset(out: Path) -> None:
    """Refuse a dataset that is there and not whole; a build without a manifest is none yet."""
    if (out / MANIFEST_NAME).exists():
        assert find_problems(Dataset.open(out)) == []
    elif out.exists():
        no_partial(out)


def whole_run(out: Path) -> None:
    """Refuse a run that could not be resumed, or whose last lines are torn."""
    if not out.exists():
        return
    no_partial(out)
    if stored_checkpoints(out):
        read_checkpoint(newest_sound(out))
    if (out / METRICS).exists():
        read_metrics(out)


def whole_runs(out: Path) -> None:
    """Refuse a folder in which a dataset, a run or a page is half there."""
    if not out.exists():
        return
    no_partial(out)
    for metrics in out.rglob(METRICS):
        whole_run(metrics.parent)
    for manifest in out.rglob("dataset*/manifest.json"):
        whole_dataset(manifest.parent)
    whole_pages(out)


def whole_pages(out: Path) -> None:
    """Refuse JSON files and pages that end in the middle."""
    if not out.exists():
        return
    no_partial(out)
    for path in out.rglob("*.json"):
        json.loads(path.read_text())
    for path in out.rglob("*.html"):
        assert path.read_text().rstrip().endswith("</html>"), f"{path} ends in the middle"


def whole_registry(registry: Path) -> None:
    """Refuse a registry in which a model or its log is half there."""
    if not registry.exists():
        return
    no_partial(registry)
    found = Registry(registry)
    for record in found.models():
        for name in record.artefacts:
            found.artefact(record, name)
    found.aliases()


def whole_recording(out: Path) -> None:
    """Refuse a recording that its own command could not read."""
    if (out / "frames").is_dir():
        read_state(out)
