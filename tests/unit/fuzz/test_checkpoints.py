"""Fuzz targets: a checkpoint, and the folder of a run that is to be resumed, with a file damaged.

Unsealed  the file differs from the manifest's digest: refused, whatever was changed, by the folder's name.
Sealed    the digests were made anew, as another program's checkpoint: refused by the file's name, or finite.
"""

import json
import shutil

import numpy as np
import torch
from made.fuzzing import FindingError, fuzz, refusal
from made.mutations import odd_bytes, odd_text
from made.registry_models import made_policy
from made.runs import make_run

from kalshi_platform.learning.training.checkpoint import (
    LATEST,
    TrainingState,
    newest_sound,
    point,
    read_checkpoint,
    write_checkpoint,
)
from kalshi_platform.learning.training.config import TrainConfig
from kalshi_platform.learning.training.folder import CONFIG, claim, read_object
from kalshi_platform.learning.training.metrics import METRICS, keep_metrics, read_metrics
from kalshi_platform.learning.training.session import RUN_FILE, stored_dataset, stored_settings
from kalshi_platform.storage.sealed import MANIFEST, seal

STATE = TrainingState(
    {
        "state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.ones(4)}},
        "param_groups": [{"lr": 0.1, "params": [0]}],
    },
    {
        "run": {"iteration": 2, "env_steps": 100, "scores": [0.5]},
        "rounds_learned": 2,
        "workers": [{"episodes": 1, "rng": {"state": {"state": 2**100, "inc": 1}}}],
    },
    {"0/envs": np.zeros(3, [("a", "i8"), ("b", "f4")]), "0/slots": np.arange(6.0)},
)


def test_checkpoints(place):
    write_checkpoint(place / "run", 2, made_policy(), STATE)
    sound = place / "run" / "checkpoints" / "000002"
    folder = place / "000002"
    contents = {path.name: path.read_bytes() for path in sorted(sound.iterdir())}

    def one(rng):
        shutil.copytree(sound, folder)
        try:
            name = rng.choice(sorted(contents))
            if name.endswith(".json") and rng.randrange(2):
                data = odd_text(rng, json.loads(contents[name]))
            else:
                data = odd_bytes(rng, contents[name])
            (folder / name).write_bytes(data)
            sealed = name != MANIFEST and rng.randrange(3) > 0
            if sealed:
                seal(folder)
            said = refusal(lambda: check_state(read_checkpoint(folder)), name, "000002")
            if (
                not said
                and not sealed
                and data != contents[name]
                and not same_manifest(name, data, contents[name])
            ):
                raise FindingError(f"{name} was changed behind its digest and was read")
            return said
        finally:
            shutil.rmtree(folder)

    counts = fuzz("checkpoints", 150, one)
    assert counts["refused"]


def same_manifest(name, data, before):
    """True where a changed manifest still says of every file what it said: white space, an unread key."""
    if name != MANIFEST:
        return False
    now, then = json.loads(data), json.loads(before)
    return now["sha256"] == then["sha256"]


def check_state(found):
    """Refuse weights, optimiser or arrays that hold numbers which are none."""
    policy, state = found
    for name, tensor in policy.network.state_dict().items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise FindingError(f"weight {name} is not finite and was read")
    if not isinstance(state.values, dict) or not isinstance(state.optimizer, dict):
        raise FindingError("a state that is no mapping was read")


def test_a_run_to_resume(place):
    sound, folder = place / "sound", place / "run"
    config = TrainConfig(seed=0)
    make_run(sound, np.linspace(-0.1, 0.2, 6))
    shutil.rmtree(sound / "checkpoints")
    (sound / "best").unlink()
    claim(sound, config, resume=False)
    point(sound, LATEST, write_checkpoint(sound, 6, made_policy(), STATE))
    contents = {name: (sound / name).read_bytes() for name in (CONFIG, RUN_FILE, METRICS)}
    lines = [json.loads(line) for line in contents[METRICS].splitlines()]

    def one(rng):
        shutil.copytree(sound, folder, symlinks=True)
        try:
            name = rng.choice(sorted(contents))
            document = rng.choice(lines) if name == METRICS else json.loads(contents[name])
            data = odd_text(rng, document) if rng.randrange(2) else odd_bytes(rng, contents[name])
            if name == METRICS and rng.randrange(2):
                data = b"\n".join([*contents[name].splitlines()[:3], data, *contents[name].splitlines()[4:]])
            (folder / name).write_bytes(data)
            return refusal(lambda: resume(folder, config), name, "run has made")
        finally:
            shutil.rmtree(folder)

    counts = fuzz("resume", 200, one)
    assert counts["refused"]


def resume(folder, config):
    """Read what a resumed run reads of its folder before it trains."""
    found = stored_settings(folder)
    stored_dataset(folder)
    read_object(folder / CONFIG)
    claim(folder, found.train, resume=True)
    newest_sound(folder)
    keep_metrics(folder, 6)
    rows = read_metrics(folder)
    if [row["iteration"] for row in rows] != sorted({row["iteration"] for row in rows}):
        raise FindingError("iterations are not in order")
