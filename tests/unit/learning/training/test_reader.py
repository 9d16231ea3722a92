"""The columnar reader against a plain loop over the same environments, network and random numbers."""

import numpy as np
import pytest
import torch
from made.bank import made_bank
from ray.rllib.policy.sample_batch import SampleBatch

from kalshi_platform.learning.training.config import TrainConfig
from kalshi_platform.learning.training.reader import ColumnarReader, rollout_metrics
from kalshi_platform.learning.training.source import TrainingSource
from kalshi_platform.models.networks.actions import sample_actions
from kalshi_platform.models.networks.history import HistoryCodes
from kalshi_platform.models.networks.networks import build_network
from kalshi_platform.models.networks.rllib_adapter import HISTORY_ROWS
from kalshi_platform.simulation.envs.config import EnvConfig, EpisodeConfig
from kalshi_platform.simulation.rollout.gae import gae

BANK = made_bank()
N, T, SEED, WORKER = 8, 32, 3, 2


def made_source() -> TrainingSource:
    episodes = EpisodeConfig(min_steps=5, max_steps=25)
    return TrainingSource(lambda: BANK, "f" * 12, env=EnvConfig(n_slots=3), episodes=episodes)


def config_for(level: str) -> TrainConfig:
    return TrainConfig(seed=SEED, level=level, n_envs=N, fragment_length=T, minibatch=64)


class PlainLoop:
    """Sampling as it is written in a textbook, a fragment a call."""

    def __init__(self, source: TrainingSource, config: TrainConfig, network) -> None:
        self.config, self.network = config, network
        self.env, _ = source.vector_env(N, SEED, WORKER)
        self.rng = np.random.default_rng([SEED, WORKER, 1])
        self.codes = HistoryCodes(network, BANK.arrays, N) if network.spec.reads_history else None
        self.flat, self.rows = self.env.buffers()
        self.env.reset(self.flat, self.rows)

    def decide(self, flat, codes):
        market, portfolio, slots, mask = self.network.spec.split(torch.from_numpy(flat))
        logits, value = self.network.decide(market, codes, portfolio, slots)
        return logits.numpy(), value.numpy(), mask.numpy()

    @torch.inference_mode()
    def next(self) -> dict[str, np.ndarray]:
        env, (n, s) = self.env, self.rows.shape
        if self.codes is not None:
            self.codes.forget()
        obs, rows = np.zeros((n, T, self.flat.shape[1]), np.float32), np.zeros((n, T, s), np.int32)
        actions = np.zeros((n, T, s), np.int8)
        log_prob, value, slot_reward, final = np.zeros((4, n, T, s), np.float32)
        ended, cut = np.zeros((2, n, T), bool)
        last = []
        for t in range(T):
            codes = None if self.codes is None else self.codes.at(self.rows)
            logits, value[:, t], mask = self.decide(self.flat, codes)
            sample_actions(logits, mask, self.rng.random((n, s)), actions[:, t], log_prob[:, t])
            obs[:, t], rows[:, t] = self.flat, self.rows
            out = np.zeros(n, np.float32), np.zeros(n, bool), np.zeros(n, bool)
            env.step(np.ascontiguousarray(actions[:, t]), self.flat, self.rows, *out)
            slot_reward[:, t], ended[:, t], cut[:, t] = env.slots["reward"], out[1], out[2] & ~out[1]
            for i in np.flatnonzero(cut[:, t]):
                last.append(((i, t), env.final_flat[i].copy(), env.final_rows[i].copy()))
        codes = None if self.codes is None else self.codes.at(self.rows)
        after = self.decide(self.flat, codes)[1]
        places, final_flat, final_rows = (list(x) for x in zip(*last, strict=True))
        codes = None if self.codes is None else self.codes.fresh(np.stack(final_rows))
        for place, v in zip(places, self.decide(np.stack(final_flat), codes)[1], strict=True):
            final[place] = v
        advantage, target = np.zeros((2, n, T, s), np.float32)
        gae(
            slot_reward, value, ended, cut, final, after, np.full(ended.shape, self.config.gamma),
            self.config.gae_lambda, advantage, target,
        )  # fmt: skip
        return {
            SampleBatch.OBS: obs, HISTORY_ROWS: rows, SampleBatch.ACTIONS: actions,
            SampleBatch.ACTION_LOGP: log_prob, SampleBatch.VF_PREDS: value,
            SampleBatch.REWARDS: slot_reward.sum(2), SampleBatch.TERMINATEDS: ended,
            SampleBatch.TRUNCATEDS: cut, "advantages": advantage, "value_targets": target,
        }  # fmt: skip


@pytest.mark.parametrize("level", ["tiny", "simple"])
def test_a_batch_is_what_a_plain_loop_samples_to_the_bit(level, one_torch_thread):
    network = build_network(made_source().policy_spec(level), 1)
    plain = PlainLoop(made_source(), config_for(level), network)
    reader = ColumnarReader(made_source(), config_for(level), network, WORKER)
    for fragment in range(3):
        expected, batch = plain.next(), reader.next()
        assert batch.count == N * T
        assert set(batch) == set(expected)
        for name, column in expected.items():
            np.testing.assert_array_equal(
                batch[name], column.reshape(N * T, *column.shape[2:]), err_msg=f"{fragment} {name}"
            )
        assert batch[SampleBatch.TRUNCATEDS].any()
        with torch.no_grad():  # the next fragment is of other weights
            for weight in network.parameters():
                weight.mul_(1.01)


def test_a_reader_goes_on_from_a_saved_state_to_the_bit(one_torch_thread):
    network = build_network(made_source().policy_spec("simple"), 1)
    reader, other = (
        ColumnarReader(made_source(), config_for("simple"), network, worker) for worker in (0, 5)
    )
    reader.next()
    state = reader.get_state()
    expected = {name: column.copy() for name, column in reader.next().items()}
    other.next()
    other.set_state(state)
    for name, column in other.next().items():
        np.testing.assert_array_equal(column, expected[name], err_msg=name)


def test_finished_episodes_are_told_once_and_summed_over_their_slots():
    network = build_network(made_source().policy_spec("tiny"), 1)
    reader = ColumnarReader(made_source(), config_for("tiny"), network, 0)
    reader.next()
    (records,) = reader.take_finished()
    assert reader.take_finished() == []
    told = rollout_metrics([records])
    assert len(told) == np.unique(records.episode).size > 3
    pnl_usd = sum(episode.custom_metrics["pnl_usd"] for episode in told)
    assert pnl_usd == pytest.approx(records.pnl_e6.sum() / 1e6)
