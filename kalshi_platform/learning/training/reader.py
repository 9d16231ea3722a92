"""The columnar sampler: RLlib's ``InputReader`` that steps all environments of a process at once.

Owns       the environments of a process, their random numbers and the columns of an iteration.
Device     environments and the network that samples are on the CPU; where the policy learns on a GPU in this
           process, a CPU copy of it samples and takes the policy's weights before every batch.
Invariant  one forward pass a step for all environments; a window is encoded when a slot's row changes.
Not        the learner, and not the workers: RLlib creates one reader in each through :func:`columnar_input`.
"""

from typing import Any

import numpy as np
import torch
from ray.rllib.evaluation.metrics import RolloutMetrics
from ray.rllib.offline.input_reader import InputReader
from ray.rllib.offline.io_context import IOContext
from ray.rllib.policy.sample_batch import DEFAULT_POLICY_ID, SampleBatch

from kalshi_platform.learning.training import fragment as columns
from kalshi_platform.learning.training.config import TrainConfig
from kalshi_platform.learning.training.source import TrainingSource
from kalshi_platform.models.networks.actions import sample_actions
from kalshi_platform.models.networks.device import cpu_copy, off_cpu
from kalshi_platform.models.networks.history import HistoryCodes
from kalshi_platform.models.networks.networks import PolicyNetwork
from kalshi_platform.simulation.envs.records import EpisodeRecords

#: Where the reader finds its settings in RLlib's ``input_config``.
SOURCE_KEY, CONFIG_KEY = "source", "train_config"
_ACTION_STREAM = 1  # second part of the seed of the generator that draws actions


class ColumnarReader(InputReader):
    """Samples ``fragment_length`` steps of ``n_envs`` environments a call of :meth:`next`."""

    def __init__(
        self, source: TrainingSource, config: TrainConfig, network: PolicyNetwork, worker: int
    ) -> None:
        spec = network.spec
        self._config = config
        self.network = network
        self._env, self._episodes = source.vector_env(config.n_envs, config.seed, worker)
        self._full_rows = source.bank.full_rows
        self._rng = np.random.default_rng([config.seed, worker, _ACTION_STREAM])
        self._codes = HistoryCodes(network, source.history, config.n_envs) if spec.reads_history else None
        self._columns = columns.allocate(config.n_envs, config.fragment_length, spec.width, spec.n_slots)
        self._flat, self._rows = self._env.buffers()
        self._actions = np.zeros((config.n_envs, spec.n_slots), np.int8)
        self._step_columns = (
            np.zeros(config.n_envs, np.float32),
            np.zeros(config.n_envs, bool),
            np.zeros(config.n_envs, bool),
        )
        self._finished: list[EpisodeRecords] = []
        self._env.reset(self._flat, self._rows)

    def next(self) -> SampleBatch:
        """The next fragment of every environment as one batch (N * T); valid until the next call."""
        if self._codes is not None:
            self._codes.forget()
        out = self._columns
        finals: list[tuple[int, np.ndarray, np.ndarray, np.ndarray]] = []
        with torch.inference_mode():
            for t in range(self._config.fragment_length):
                self._take_step(t)
                cut = np.flatnonzero(out.truncated[:, t])
                if cut.size:
                    finals.append((t, cut, self._env.final_flat[cut], self._env.final_rows[cut]))
            _, last_value, _ = self._forward(self._flat, self._rows)
            self._value_final_observations(finals)
        if self._full_rows is not None:
            # Last: until here rows are this worker's own; the learner knows the whole split's only.
            out.rows[:] = self._full_rows[out.rows]
        columns.estimate_advantages(out, last_value.numpy(), self._config.gamma, self._config.gae_lambda)
        self._finished.append(self._env.drain_episodes())
        return columns.sample_batch(out)

    def _take_step(self, t: int) -> None:
        out = self._columns
        logits, value, mask = self._forward(self._flat, self._rows)
        uniform = self._rng.random(self._actions.shape)
        sample_actions(logits.numpy(), mask.numpy(), uniform, self._actions, out.log_prob[:, t])
        out.flat[:, t] = self._flat
        out.rows[:, t] = self._rows
        out.actions[:, t] = self._actions
        out.value[:, t] = value.numpy()
        reward, terminated, truncated = self._step_columns
        self._env.step(self._actions, self._flat, self._rows, reward, terminated, truncated)
        out.reward[:, t] = self._env.slots["reward"]
        out.terminated[:, t] = terminated
        out.truncated[:, t] = truncated & ~terminated

    def _forward(self, flat: np.ndarray, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        market, portfolio, slot_mask, action_mask = self.network.spec.split(torch.from_numpy(flat))
        codes = None if self._codes is None else self._codes.at(rows)
        logits, value = self.network.decide(market, codes, portfolio, slot_mask)
        return logits, value, action_mask

    def _value_final_observations(self, finals: list[tuple[int, np.ndarray, np.ndarray, np.ndarray]]) -> None:
        """One forward pass for all truncated episodes of the fragment."""
        if not finals:
            return
        flat = np.concatenate([f for _, _, f, _ in finals])
        rows = np.concatenate([r for _, _, _, r in finals])
        market, portfolio, slot_mask, _ = self.network.spec.split(torch.from_numpy(flat))
        codes = None if self._codes is None else self._codes.fresh(rows)
        value = self.network.decide(market, codes, portfolio, slot_mask)[1].numpy()
        at = 0
        for t, cut, _, _ in finals:
            self._columns.final_value[cut, t] = value[at : at + cut.size]
            at += cut.size

    def take_finished(self) -> list[EpisodeRecords]:
        """Records of the episodes finished since the last call, a list entry a fragment."""
        finished, self._finished = self._finished, []
        return finished

    def advance(self, episodes_done: int) -> None:
        """Tell the curriculum how many episodes all workers together have finished."""
        self._episodes.advance(episodes_done)

    def get_state(self) -> dict[str, Any]:
        """Everything that decides the next fragment, apart from the weights; arrays and plain values."""
        return {
            "env": self._env.get_state(),
            "episodes": self._episodes.get_state(),
            "rng": self._rng.bit_generator.state,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue exactly where :meth:`get_state` was taken."""
        self._env.set_state(state["env"])
        self._episodes.set_state(state["episodes"])
        self._rng.bit_generator.state = state["rng"]
        self._env.observe(self._flat, self._rows)


class LazyReader(InputReader):
    """Builds the :class:`ColumnarReader` at its first use and stands in for RLlib's sampler.

    With remote workers RLlib creates a reader in the trainer's process too and never calls it: its
    environments must not cost memory.
    ``RolloutWorker.get_metrics`` reads episodes from ``worker.sampler``, which is this.
    """

    def __init__(self, context: IOContext) -> None:
        self._context = context
        self._reader: ColumnarReader | None = None

    @property
    def reader(self) -> ColumnarReader:
        """The reader of this process."""
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
        """The next batch, sampled with the policy's present weights."""
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
    """For ``offline_data(input_=...)``; RLlib accepts a plain function only."""
    reader = LazyReader(context)
    worker: Any = context.worker
    worker.sampler = reader
    return reader
