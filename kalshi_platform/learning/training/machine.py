"""Plans a training run for a machine: workers, environments, threads and memory, each with its reason.

Owns    the one rule that sets a run by it: :func:`plan_workers`.
Units   bytes; cores are whole and count those this process may use (affinity and cgroup).
Source  shares of an iteration and bytes are measured on two cores (benchmarks/RESULTS.md). The rule for a GPU
        is reasoned, not measured: no machine with one has run this.
"""

import sys
from typing import Any, Final, NamedTuple, Self

import torch

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.machine_room import free_memory_bytes, own_cores
from kalshi_platform.learning.training.config import Device, TrainConfig
from kalshi_platform.models.networks.levels import level_named

GIB: Final = 2**30
#: Share of an iteration that sampling takes where the learner is on the CPU; level -> measured share.
SAMPLING_SHARE: Final = {"tiny": 0.15, "simple": 0.08, "moderate": 0.06}
#: Levels without a figure of their own are larger than any measured one.
_LARGEST_SHARE: Final = 0.05
#: Private memory of the trainer's process and of a sampling one, measured and rounded up.
TRAINER_BYTES: Final = 2 * GIB
WORKER_BYTES: Final = 1 * GIB
#: Above this many the trainer's process, which joins their batches, is the narrow place.
_MOST_WORKERS: Final = 8
_LEAST_STORE_BYTES: Final = 128 * 2**20
#: Batches in Ray's object store at once: learned from, waiting, being written, and one for slack.
_BATCHES_STORED: Final = 4


class Machine(NamedTuple):
    """Cores, memory and GPUs that this process may use."""

    cores: int
    memory_bytes: int  # still free
    gpus: tuple[str, ...] = ()
    cluster: bool = False  # cores are those of the connected Ray cluster

    @classmethod
    def here(cls) -> Self:
        """Read this machine; where this process is connected to a Ray cluster, the cluster's cores count."""
        cores, cluster = own_cores(), False
        ray: Any = sys.modules.get("ray")  # a process that has not imported Ray is connected to nothing
        if ray is not None and ray.is_initialized():
            found = int(ray.cluster_resources().get("CPU", 0))
            cluster = found > cores
            cores = max(cores, found)
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        gpus = tuple(torch.cuda.get_device_name(k) for k in range(count))
        return cls(cores, free_memory_bytes(), gpus, cluster)


class WorkerPlan(NamedTuple):
    """Plan of a run on a machine, with its reasons."""

    num_env_runners: int
    n_envs: int  # of each process that samples
    torch_threads: int
    learner_device: str
    object_store_bytes: int
    because: tuple[str, ...]

    def settings(self) -> dict[str, Any]:
        """Values of the ``TrainConfig`` fields that the plan decides."""
        return {
            "num_env_runners": self.num_env_runners,
            "n_envs": self.n_envs,
            "torch_threads": self.torch_threads,
        }

    def line(self) -> str:
        """The plan in one line, without its reasons."""
        return (
            f"{self.num_env_runners} sampling workers, {self.n_envs} environments each, "
            f"{self.torch_threads} torch threads, learning on {self.learner_device}, "
            f"object store {self.object_store_bytes / GIB:.2f} GiB"
        )


def learner_device(wanted: Device) -> str:
    """Device on which the network learns, ``cpu`` or ``cuda``.

    ContractError where a wanted GPU is not there.
    """
    return _device(wanted, torch.cuda.is_available())


def plan_workers(
    machine: Machine,
    level: str,
    bank_bytes: int,
    config: TrainConfig | None = None,
    sample_bytes: int = 1_000,
) -> WorkerPlan:
    """Plan workers, environments, threads and memory for ``level`` on ``machine``.

    ``bank_bytes`` is the size of the training split opened, ``sample_bytes`` that of one sample of a batch.
    ``config`` holds the other settings of the run. Its ``n_envs`` is the number of environments of all
    workers together, so that a batch stays about as large anywhere. ContractError for an unknown level, a GPU
    that is not there, or too little memory even to sample in the trainer's process.
    """
    level_named(level)
    config = config or TrainConfig(level=level)
    device = _device(config.learner_device, bool(machine.gpus))
    if machine.memory_bytes < TRAINER_BYTES:
        raise ContractError(
            f"{machine.memory_bytes / GIB:.1f} GiB of memory are free, training takes about "
            f"{TRAINER_BYTES / GIB:.0f}: close other programs or use a larger machine"
        )
    because = [_cores_text(machine), _memory_text(machine, bank_bytes)]
    workers, reason = _workers(machine, level, device)
    n_envs = _envs_each(config, max(1, workers))
    batch_bytes = n_envs * max(1, workers) * config.fragment_length * sample_bytes
    store = max(_LEAST_STORE_BYTES, _BATCHES_STORED * batch_bytes)
    because += [
        reason,
        f"{n_envs} environments each: {n_envs * max(1, workers)} in all (wanted {config.n_envs}), so that "
        f"minibatches of {config.minibatch} fill the batch",
        "1 torch thread: more gain little at these sizes and are many times slower where cores are shared",
        f"object store: {_BATCHES_STORED} batches of {batch_bytes / 2**20:.0f} MiB, at least "
        f"{_LEAST_STORE_BYTES / 2**20:.0f} MiB",
    ]
    return WorkerPlan(workers, n_envs, 1, device, store, tuple(because))


def _device(wanted: Device, present: bool) -> str:
    if wanted == "cuda" and not present:
        raise ContractError(
            "learner_device=cuda, and torch sees no CUDA device here (torch.cuda.is_available() is False): "
            "install torch with CUDA and the driver, or use learner_device=auto or cpu"
        )
    return "cuda" if present and wanted != "cpu" else "cpu"


def _workers(machine: Machine, level: str, device: str) -> tuple[int, str]:
    if device == "cpu":
        share = SAMPLING_SHARE.get(level, _LARGEST_SHARE)
        return 0, (
            f"0 workers: on a CPU sampling takes about {share:.0%} of an iteration of level {level} and "
            "learning the rest; workers would wait for the learner"
        )
    by_cores = machine.cores - 1
    by_memory = (machine.memory_bytes - TRAINER_BYTES) // WORKER_BYTES
    workers = int(max(0, min(by_cores, by_memory, _MOST_WORKERS)))
    limits = f"{by_cores} cores beside the trainer's, memory for {by_memory}, at most {_MOST_WORKERS}"
    return workers, f"{workers} workers: the GPU learns, sampling is what it waits for ({limits})"


def _envs_each(config: TrainConfig, workers: int) -> int:
    """Return the number of environments per worker.

    It is the least number with which all workers together run at least ``config.n_envs`` environments and one
    fragment of each fills whole minibatches.
    """
    n = -(-config.n_envs // workers)
    while n * workers * config.fragment_length % config.minibatch:
        n += 1  # ends: n = minibatch divides
    return n


def _cores_text(machine: Machine) -> str:
    where = "the Ray cluster" if machine.cluster else "this machine"
    gpus = ", ".join(machine.gpus) or "no GPU"
    return f"{machine.cores} cores of {where}, {gpus}"


def _memory_text(machine: Machine, bank_bytes: int) -> str:
    left = machine.memory_bytes - TRAINER_BYTES - bank_bytes
    held = (
        f"{machine.memory_bytes / GIB:.1f} GiB free, the bank of {bank_bytes / GIB:.2f} GiB is shared by all"
    )
    return held if left >= 0 else f"{held} and does not fit beside the trainer: rows will be read from disk"
