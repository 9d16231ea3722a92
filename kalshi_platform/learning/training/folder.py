"""The folder of a run: is the run in it the one to continue?

Files      config.json     TrainConfig, written here
           run.json        all settings, dataset and feature digests, commit, versions (``session.py``)
           env.json        the environment in which the policy must be judged (``session.py``)
           metrics.jsonl   one line per iteration (``run.py``, ``metrics.py``)
           checkpoints/    one folder per checkpoint, named by its iteration (``checkpoint.py``)
           latest, best    name the newest checkpoint, and the one with the best validation score
           trial.json      only in a trial of a sweep (``learning/tuning/trial.py``)
           evaluation/     only after the run was judged: report.html, report.json (``evaluation/judging``)
           .lock           held by the process that writes the folder
Invariant  one process writes a folder at a time (``storage/locks.py``): an actor that Ray has given up for
           lost may live a while.
"""

import json
from pathlib import Path
from typing import Final

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.learning.training.checkpoint import LATEST
from kalshi_platform.learning.training.config import TrainConfig
from kalshi_platform.learning.training.metrics import METRICS
from kalshi_platform.storage.whole_file import write_whole

CONFIG: Final = "config.json"
#: Settings a resumed run may have changed: they decide how long it runs, not what it computes.
MAY_CHANGE: Final = frozenset(
    {"total_env_steps", "patience", "min_gain", "keep_checkpoints", "checkpoint_every", "max_restarts"}
)
#: Settings population-based training may change as well, between two iterations.
MAY_MUTATE: Final = frozenset(
    {"learning_rate", "entropy_coeff", "clip", "value_coeff", "value_clip", "gamma", "gae_lambda"}
)


def claim(out: Path, config: TrainConfig, resume: bool, mutated: frozenset[str] = frozenset()) -> None:
    """Take the folder for this run, or check that it holds the run to continue.

    ContractError where it holds another run; ``mutated`` names further settings that may differ.
    """
    stored = out / CONFIG
    if resume:
        if not (out / LATEST).exists():
            raise ContractError(f"{out} holds no checkpoint to resume from; start without resume")
        was = TrainConfig.parse(json.loads(stored.read_text()))
        old, new = was.model_dump(), config.model_dump()
        allowed = MAY_CHANGE | mutated
        changed = {name: (old[name], new[name]) for name in new if old[name] != new[name]}
        refused = {name: values for name, values in changed.items() if name not in allowed}
        if refused:
            shown = ", ".join(f"{name} {before!r} -> {now!r}" for name, (before, now) in refused.items())
            raise ContractError(
                f"{out} was started with other settings ({shown}); resume with those or use another folder"
            )
    elif (out / METRICS).exists():
        raise ContractError(f"{out} already holds a run; resume it or choose another folder")
    write_whole(stored, config.model_dump_json(indent=1) + "\n")
