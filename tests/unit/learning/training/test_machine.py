"""The plan for a machine: by hand for a few, and for all of them what must hold whatever they are."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.domain import machine_room
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.learning.training import machine
from kalshi_platform.learning.training.config import TrainConfig
from kalshi_platform.learning.training.machine import (
    GIB,
    Machine,
    learner_device,
    plan_workers,
)
from kalshi_platform.models.networks.levels import LEVELS

SMALL = Machine(cores=2, memory_bytes=8 * GIB)
GPU = Machine(cores=16, memory_bytes=64 * GIB, gpus=("a GPU",))


@pytest.mark.parametrize("level", sorted(LEVELS))
def test_a_cpu_learner_samples_by_itself_because_sampling_is_cheap(level):
    plan = plan_workers(SMALL, level, bank_bytes=0)
    assert (plan.num_env_runners, plan.n_envs, plan.torch_threads) == (0, 64, 1)
    assert plan.learner_device == "cpu"
    assert any(line.startswith("0 workers: on a CPU sampling takes about") for line in plan.because)


def test_a_gpu_learner_gets_workers_up_to_eight_that_share_the_environments():
    plan = plan_workers(GPU, "simple", bank_bytes=GIB)
    # 15 cores beside the trainer's, 62 GiB for workers of 1 GiB: the most is 8; 64 environments / 8 = 8 each
    assert (plan.num_env_runners, plan.n_envs, plan.learner_device) == (8, 8, "cuda")
    # 8 x 8 x 64 samples of 1,000 bytes, four times = 16.4 MB: the least there is
    assert plan.object_store_bytes == 128 * 2**20


def test_memory_and_cores_limit_the_workers():
    # 5 GiB free: 2 for the trainer, 3 for workers of 1 GiB; ceil(64 / 3) = 22 environments each, the next
    # number with n x 3 x 64 divisible by 512 is 24
    tight = plan_workers(GPU._replace(memory_bytes=5 * GIB), "simple", bank_bytes=0)
    assert (tight.num_env_runners, tight.n_envs) == (3, 24)
    assert plan_workers(GPU._replace(cores=1), "simple", bank_bytes=0).num_env_runners == 0


def test_large_batches_get_a_large_object_store():
    config = TrainConfig(n_envs=1_024, fragment_length=128, minibatch=1_024)
    # 1,024 x 128 samples of 2,000 bytes, four of them
    assert plan_workers(GPU, "simple", 0, config, sample_bytes=2_000).object_store_bytes == 4 * 262_144_000


@given(
    cores=st.integers(1, 256),
    memory_gib=st.integers(2, 512),
    gpus=st.integers(0, 2),
    n_envs=st.integers(1, 300),
    fragment_length=st.integers(1, 128),
    batches=st.integers(1, 8),
)
def test_every_plan_is_a_legal_configuration_that_fits(
    cores, memory_gib, gpus, n_envs, fragment_length, batches
):
    minibatch = n_envs * fragment_length
    config = TrainConfig(n_envs=n_envs * batches, fragment_length=fragment_length, minibatch=minibatch)
    here = Machine(cores, memory_gib * GIB, ("g",) * gpus)
    plan = plan_workers(here, "simple", 10 * GIB, config)
    config.replace(**plan.settings())  # minibatches fill the batch, else this raises
    assert plan.num_env_runners < cores
    assert plan.num_env_runners * machine.WORKER_BYTES + machine.TRAINER_BYTES <= here.memory_bytes
    assert plan.n_envs * max(1, plan.num_env_runners) >= config.n_envs


def test_a_bank_that_does_not_fit_is_said_to_be_read_from_disk():
    assert any("read from disk" in line for line in plan_workers(SMALL, "tiny", 7 * GIB).because)
    assert not any("read from disk" in line for line in plan_workers(SMALL, "tiny", GIB).because)


@pytest.mark.parametrize(
    ("here", "level", "config", "message"),
    [
        (SMALL, "huge", None, "level 'huge' is none of"),
        (SMALL, "tiny", TrainConfig(learner_device="cuda"), "torch sees no CUDA device"),
        (Machine(2, GIB), "tiny", None, r"1\.0 GiB of memory are free"),
    ],
)
def test_what_cannot_work_is_refused(here, level, config, message):
    with pytest.raises(ContractError, match=message):
        plan_workers(here, level, 0, config)


def test_the_device_is_a_gpu_where_there_is_one_and_none_was_refused(monkeypatch):
    for present, devices in ((True, ("cuda", "cuda", "cpu")), (False, ("cpu", None, "cpu"))):
        monkeypatch.setattr(torch.cuda, "is_available", lambda present=present: present)
        for wanted, device in zip(("auto", "cuda", "cpu"), devices, strict=True):
            if device is None:
                with pytest.raises(ContractError, match="learner_device=cuda"):
                    learner_device(wanted)
            else:
                assert learner_device(wanted) == device


def test_this_machine_is_read(monkeypatch):
    here = Machine.here()
    assert here.cores >= 1
    assert here.memory_bytes > 0
    monkeypatch.setattr(machine_room, "cgroup_cores", lambda root: 1.5)
    monkeypatch.setitem(machine.sys.modules, "ray", None)
    assert Machine.here().cores == 1


def test_the_cores_of_a_connected_cluster_count(monkeypatch):
    class Ray:
        is_initialized = staticmethod(lambda: True)
        cluster_resources = staticmethod(lambda: {"CPU": 4_096.0, "memory": 1.0})

    monkeypatch.setitem(machine.sys.modules, "ray", Ray)
    assert Machine.here()[0::3] == (4_096, True)
