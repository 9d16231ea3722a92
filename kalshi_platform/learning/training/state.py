"""The state of a running algorithm, taken out and put back exactly.

Owns       weights, optimiser, round counter, the state of every worker's environments and generators, and
           with ``overlap`` the batch that was sampled and not yet learned from.
Invariant  a run continued from a captured state produces the same numbers as one that was never stopped
           (same machine and threads; tested).
"""

from typing import Any

import numpy as np
from numpy.lib.recfunctions import repack_fields
from ray.rllib.policy.sample_batch import SampleBatch

from kalshi_platform.domain.errors import DataError
from kalshi_platform.learning.training.checkpoint import TrainingState
from kalshi_platform.learning.training.ppo import ReplayPPO
from kalshi_platform.learning.training.reader import ColumnarReader
from kalshi_platform.models.networks.networks import PolicyNetwork
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.simulation.envs.state import Episodes

#: Names of the waiting batch's columns among a state's arrays.
_WAITING = "waiting/"


def frozen_copy(algorithm: ReplayPPO) -> FrozenPolicy:
    """Copy of the present policy with weights of its own."""
    policy: Any = algorithm.get_policy()
    network = policy.model.network
    copy = PolicyNetwork(network.spec)
    copy.load_state_dict(network.state_dict())
    return FrozenPolicy(copy)


def capture(algorithm: ReplayPPO, run_values: dict[str, Any]) -> TrainingState:
    """State of the algorithm apart from the weights; ``run_values`` are the run's own counters."""
    workers = _foreach_sampler(algorithm, _sampler_state)
    values = {
        "run": run_values,
        "rounds_learned": algorithm.rounds_learned,
        "workers": [w["values"] for w in workers],
    }
    arrays = {f"{k}/{name}": array for k, w in enumerate(workers) for name, array in w["arrays"].items()}
    waiting = algorithm.waiting_batch  # whole: a training step ends when its workers have sampled
    if waiting is not None:
        arrays |= {f"{_WAITING}{name}": np.asarray(column) for name, column in waiting.items()}
    policy: Any = algorithm.get_policy()
    return TrainingState(policy._optimizers[0].state_dict(), values, arrays)


def restore(algorithm: ReplayPPO, policy: FrozenPolicy, state: TrainingState) -> None:
    """Put a captured state into a freshly built algorithm of the same settings."""
    own: Any = algorithm.get_policy()
    if own.model.network.spec != policy.spec:
        raise DataError(
            "the checkpoint's policy has other sizes or features than this run's data and settings; "
            "resume with the dataset and settings it was trained with"
        )
    own.model.network.load_state_dict(policy.network.state_dict())
    rate = own.cur_lr
    own._optimizers[0].load_state_dict(state.optimizer)
    for parameters in own._optimizers[0].param_groups:
        parameters["lr"] = rate  # of this run's settings: population-based training changes it
    algorithm.rounds_learned = int(state.values["rounds_learned"])
    group: Any = algorithm.env_runner_group
    if group.num_remote_workers():
        group.sync_weights()
    waiting = {n.removeprefix(_WAITING): a for n, a in state.arrays.items() if n.startswith(_WAITING)}
    algorithm.waiting_batch = SampleBatch(waiting) if waiting else None  # type: ignore[no-untyped-call]
    stored = state.values["workers"]
    parts = []
    for k, values in enumerate(stored):
        prefix = f"{k}/"
        arrays = {n[len(prefix) :]: a for n, a in state.arrays.items() if n.startswith(prefix)}
        parts.append({"values": values, "arrays": arrays})

    def put(worker: Any) -> None:
        part = parts[max(0, worker.worker_index - 1)]
        _reader_of(worker).set_state({"env": _joined(part["arrays"]), **part["values"]})

    _foreach_sampler(algorithm, put)


def advance_curriculum(algorithm: ReplayPPO, episodes_done: int) -> None:
    """Tell every sampler how many episodes the run has finished."""
    _foreach_sampler(algorithm, lambda worker: _reader_of(worker).advance(episodes_done))


def _reader_of(worker: Any) -> ColumnarReader:
    reader: ColumnarReader = worker.input_reader.reader
    return reader


def _sampler_state(worker: Any) -> dict[str, Any]:
    state = _reader_of(worker).get_state()
    values = {"episodes": state["episodes"], "rng": state["rng"]}
    return {"values": values, "arrays": _split(state["env"])}


def _split(env: dict[str, Any]) -> dict[str, np.ndarray]:
    """State of the environments as named arrays; the waiting episodes are stored column by column."""
    columns = {f"table.{name}": column for name, column in env["table"]._asdict().items()}
    return {"envs": _packed(env["envs"]), "slots": _packed(env["slots"]), **columns}


def _packed(records: np.ndarray) -> np.ndarray:
    """Copy of records without the bytes between fields, in which memory holds whatever lay there before."""
    packed: np.ndarray = repack_fields(records)
    return packed


def _joined(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """State of the environments from named arrays, the inverse of :func:`_split`."""
    table = Episodes(*(arrays[f"table.{name}"] for name in Episodes._fields))
    return {"envs": arrays["envs"], "slots": arrays["slots"], "table": table}


def _foreach_sampler(algorithm: ReplayPPO, call: Any) -> list[Any]:
    """Results of ``call(worker)`` for the workers that sample, in the order of their index."""
    group: Any = algorithm.env_runner_group
    if group.num_remote_workers() == 0:
        return [call(group.local_env_runner)]
    found: list[Any] = group.foreach_env_runner(call, local_env_runner=False)
    return found
