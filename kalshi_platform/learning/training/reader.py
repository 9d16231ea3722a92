"""The columnar sampler: the house's stepper behind RLlib's ``InputReader``, a fragment a call.

Owns       the environments of a process, their random numbers, and the columns under RLlib's names.
Device     environments and the network that samples are on the CPU; where the policy learns on a GPU in this
           process, a CPU copy of it samples and takes the policy's weights before every batch.
Invariant  one forward pass a step for all environments; a window is encoded when a slot's row changes.
Not        the learner, and not the workers: RLlib creates one reader in each through :func:`columnar_input`.
"""

from typing import Any

import numpy as np
from ray.rllib.evaluation.metrics import RolloutMetrics
from ray.rllib.evaluation.postprocessing import Postprocessing
from ray.rllib.offline.input_reader import InputReader
from ray.rllib.offline.io_context import IOContext
from ray.rllib.policy.sample_batch import DEFAULT_POLICY_ID, SampleBatch

from kalshi_platform.learning.training.config import TrainConfig
from kalshi_platform.learning.training.source import TrainingSource
from kalshi_platform.models.networks.acting import NetworkPolicy
from kalshi_platform.models.networks.device import cpu_copy, off_cpu
from kalshi_platform.models.networks.networks import PolicyNetwork
from kalshi_platform.models.networks.rllib_adapter import HISTORY_ROWS
from kalshi_platform.simulation.envs.records import EpisodeRecords
from kalshi_platform.simulation.rollout.fragment import Fragment, allocate, estimate_advantages, play
from kalshi_platform.simulation.rollout.stepper import Stepper

#: Where the reader finds its settings in RLlib's ``input_config``.
SOURCE_KEY, CONFIG_KEY = "source", "train_config"
_ACTION_STREAM = 1  # second part of the seed of the generator that draws actions


class ColumnarReader(InputReader):
    """A reader that samples ``fragment_length`` steps of ``n_envs`` environments a call of :meth:`next`."""

    def __init__(
        self, source: TrainingSource, config: TrainConfig, network: PolicyNetwork, worker: int
    ) -> None:
        spec, bank = network.spec, source.bank
        self._config = config
        self.network = network
        env, self._episodes = source.vector_env(config.n_envs, config.seed, worker)
        self._full_rows = bank.full_rows
        self._rng = np.random.default_rng([config.seed, worker, _ACTION_STREAM])
        self.stepper = Stepper(env, NetworkPolicy(network, bank.arrays, self._rng))
        self._fragment = allocate(config.n_envs, config.fragment_length, spec.width, spec.n_slots)
        self._finished: list[EpisodeRecords] = []

    def next(self) -> SampleBatch:
        """Next fragment of every environment as one batch (N * T); valid until the next call."""
        self.stepper.policy.forget()
        out = self._fragment
        last_value = play(self.stepper, out)
        if self._full_rows is not None:
            # Last: until here rows are this worker's own; the learner knows the whole split's only.
            out.rows[:] = self._full_rows.of(out.rows)
        estimate_advantages(out, last_value, self._config.discount, self._config.gae_lambda)
        self._finished.append(self.stepper.env.drain_episodes())
        return sample_batch(out)

    def take_finished(self) -> list[EpisodeRecords]:
        """Records of the episodes finished since the last call, a list entry a fragment."""
        finished, self._finished = self._finished, []
        return finished

    def advance(self, episodes_done: int) -> None:
        """Tell the curriculum how many episodes all workers together have finished."""
        self._episodes.advance(episodes_done)

    def get_state(self) -> dict[str, Any]:
        """Everything that decides the next fragment, apart from the weights; arrays and plain values."""
        return {**self.stepper.get_state(), "rng": self._rng.bit_generator.state}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue exactly at the place where :meth:`get_state` was called."""
        self.stepper.set_state(state)
        self._rng.bit_generator.state = state["rng"]


def sample_batch(fragment: Fragment) -> SampleBatch:
    """Columns that PPO learns from, as views (N * T, ...) of the fragment; rewards are summed over slots."""
    columns = {
        SampleBatch.OBS: fragment.flat,
        HISTORY_ROWS: fragment.rows,
        SampleBatch.ACTIONS: fragment.actions,
        SampleBatch.ACTION_LOGP: fragment.log_prob,
        SampleBatch.VF_PREDS: fragment.value,
        SampleBatch.REWARDS: fragment.reward.sum(axis=2),
        SampleBatch.TERMINATEDS: fragment.terminated,
        SampleBatch.TRUNCATEDS: fragment.truncated,
        Postprocessing.ADVANTAGES: fragment.advantage,
        Postprocessing.VALUE_TARGETS: fragment.target,
    }
    n = fragment.terminated.size
    flat = {name: column.reshape(n, *column.shape[2:]) for name, column in columns.items()}
    return SampleBatch(flat)  # type: ignore[no-untyped-call]


class LazyReader(InputReader):
    """A reader that builds the :class:`ColumnarReader` at its first use and stands in for RLlib's sampler.

    With remote workers RLlib creates a reader in the trainer's process too and never calls it: its
    environments must not cost memory.
    ``RolloutWorker.get_metrics`` reads episodes from ``worker.sampler``, which is this reader.
    """

    def __init__(self, context: IOContext) -> None:
        self._context = context
        self._reader: ColumnarReader | None = None

    @property
    def reader(self) -> ColumnarReader:
        """Reader of this process."""
        if self._reader is None:
            given, worker = self._context.input_config, self._context.worker_index
            network = cpu_copy(self._learned) if off_cpu(self._learned) else self._learned
            source = given[SOURCE_KEY].of_worker(worker)
            self._reader = ColumnarReader(source, given[CONFIG_KEY], network, worker)
        return self._reader

    @property
    def _learned(self) -> PolicyNetwork:
        """The policy's network, which may lie on another device than the sampler."""
        worker: Any = self._context.worker
        network: PolicyNetwork = worker.policy_map[DEFAULT_POLICY_ID].model.network
        return network

    def next(self) -> SampleBatch:
        """Next batch, sampled with the policy's present weights."""
        reader = self.reader
        if reader.network is not self._learned:
            reader.network.load_state_dict(self._learned.state_dict())
        return reader.next()

    def get_metrics(self) -> list[Any]:
        """Finished episodes as RLlib reports them."""
        return [] if self._reader is None else rollout_metrics(self._reader.take_finished())


def rollout_metrics(finished: list[EpisodeRecords]) -> list[Any]:
    """One entry an episode: its return, length and profit, summed over its slots."""
    found = []
    make: Any = RolloutMetrics  # a named tuple that RLlib's types call a bare one
    for records in finished:
        _, first, entry = np.unique(records.episode, return_index=True, return_inverse=True)
        pnl_usd = np.bincount(entry, records.pnl_e6 / 1e6, minlength=first.size)
        fees_usd = np.bincount(entry, records.fees_e6 / 1e6, minlength=first.size)
        n_fills = np.bincount(entry, records.n_fills, minlength=first.size)
        for k, i in enumerate(first):
            custom = {"pnl_usd": pnl_usd[k], "fees_usd": fees_usd[k], "n_fills": n_fills[k]}
            found.append(
                make(
                    episode_length=int(records.n_steps[i]),
                    episode_reward=float(records.episode_return[i]),
                    custom_metrics={name: float(value) for name, value in custom.items()},
                )
            )
    return found


def columnar_input(context: IOContext) -> InputReader:
    """Reader for ``offline_data(input_=...)``; RLlib accepts a plain function only."""
    reader = LazyReader(context)
    worker: Any = context.worker
    worker.sampler = reader
    return reader
