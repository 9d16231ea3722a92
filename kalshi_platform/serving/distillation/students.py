"""Students of a champion: their networks, and how one learns from kept states.

Owns       the specs of tiers 1 and 2 and the loop of epochs: Adam, early stop, best weights kept.
Invariant  a student reads the very observation its champion reads; equal seeds and states give equal weights
           unless the time limit ended the learning.
"""

import time
from collections.abc import Callable
from typing import Final

import numpy as np
import torch

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.saying import Say, detail, passing, silent, time_words
from kalshi_platform.models.networks.device import torch_threads
from kalshi_platform.models.networks.levels import TIER_LEVELS
from kalshi_platform.models.networks.networks import PolicyNetwork, build_network
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.models.networks.spec import PolicySpec
from kalshi_platform.serving.distillation.config import LearnConfig
from kalshi_platform.serving.distillation.losses import advantage_weights, value_loss, weighted_kl
from kalshi_platform.serving.distillation.states import StateReader, choices
from kalshi_platform.simulation.replay.bank import BankArrays
from kalshi_platform.simulation.replay.layout import Layout
from kalshi_platform.simulation.rollout.reservoir import States

_BATCH: Final = 2_048


class Epoch(Config):
    """Figures of one pass over the states."""

    loss: float  # mean over the pass's steps: weighted KL and the value's share
    held_out_kl: float  # weighted, nats
    held_out_agreement: float  # share of slots with a choice whose best action is the champion's


class Learning(Config):
    """Record of how a student learned."""

    tier: int
    parameters: int
    states: int
    held_out_states: int
    epochs: tuple[Epoch, ...]
    best_epoch: int  # counted from 1
    stopped: str  # in words
    wall_s: float


def student_spec(champion: PolicySpec, tier: int) -> PolicySpec:
    """The champion's spec at the level of ``tier``; ContractError if that level lacks history to read."""
    level = TIER_LEVELS[tier]
    if level.window and not champion.n_history:
        raise ContractError(
            f"tier {tier} reads {level.window} rows of history, but the champion's observation has none: "
            "train a policy whose dataset holds the temporal features"
        )
    return champion.replace(level=level.model_dump())


def distil(
    spec: PolicySpec,
    tier: int,
    learned: States,
    held_out: States,
    arrays: BankArrays,
    config: LearnConfig,
    seed: int,
    say: Say = silent,
) -> tuple[FrozenPolicy, Learning]:
    """Teach a student of ``spec`` the states ``learned``; its weights are those best on ``held_out``.

    Returns the student and the record of its learning. DataError where either sample holds no slot with a
    choice.
    """
    started = time.perf_counter()
    for name, states in (("learn from", learned), ("stop by", held_out)):
        if not choices(spec.layout, states.flat)[1].any():
            raise DataError(
                f"tier {tier}: no state to {name} has a choice; play more (states.steps, states.n_envs)"
            )
    student = _Student(build_network(spec, seed), learned, held_out, arrays, config, seed)
    with torch_threads(config.torch_threads):
        epochs, best, stopped = _learn(student, tier, config, say)
    learning = Learning(
        tier=tier,
        parameters=sum(p.numel() for p in student.network.parameters()),
        states=learned.n,
        held_out_states=held_out.n,
        epochs=tuple(epochs),
        best_epoch=best + 1,
        stopped=stopped,
        wall_s=time.perf_counter() - started,
    )
    done = epochs[best]
    detail(say)(
        f"tier {tier}: pass {best + 1} of {len(epochs)} is best, held-out KL {done.held_out_kl:.4f}, "
        f"agreement {done.held_out_agreement:.1%} ({stopped}, {learning.wall_s:.0f} s)"
    )
    return FrozenPolicy(student.network), learning


def _learn(student: "_Student", tier: int, config: LearnConfig, say: Say) -> tuple[list[Epoch], int, str]:
    """Pass after pass until it no longer pays; returns the passes, the best one (kept), and why it ended."""
    started = time.perf_counter()
    epochs: list[Epoch] = []
    best, weights, stopped = 0, student.weights(), "all passes done"
    for k in range(config.epochs):
        if k and time.perf_counter() - started > config.limit_s:
            stopped = f"time limit of {config.limit_s:g} s"
            break
        epochs.append(student.epoch(k, _progress(say, tier, k, config, started)))
        if k == 0 or epochs[k].held_out_kl < epochs[best].held_out_kl:
            best, weights = k, student.weights()
        elif k - best >= config.patience:
            stopped = f"no better held-out loss in {config.patience} passes"
            break
    student.network.load_state_dict(weights)
    return epochs, best, stopped


def _progress(
    say: Say, tier: int, epoch: int, config: LearnConfig, started: float
) -> Callable[[float], None]:
    shown = passing(say)

    def show(share: float) -> None:
        now = time.perf_counter()
        done = (epoch + share) / config.epochs
        left = min((now - started) * (1 - done) / done, max(config.limit_s - (now - started), 0))
        shown(
            f"tiers: tier {tier} learns, pass {epoch + 1} of {config.epochs}, at most {time_words(left)} left"
        )

    return show


class _Student:
    """A network, its optimiser and the states it learns from."""

    def __init__(
        self,
        network: PolicyNetwork,
        learned: States,
        held_out: States,
        arrays: BankArrays,
        config: LearnConfig,
        seed: int,
    ) -> None:
        self.network, self._config = network, config
        self._reader = StateReader(network, arrays)
        self._learned, self._held_out = learned, held_out
        self._weight = _weights(network.spec.layout, learned, config)
        self._held_out_weight = _weights(network.spec.layout, held_out, config)
        counted = self._weight > 0
        self._variance = float(learned.value[counted].var())
        self._rng = np.random.default_rng([seed, learned.n])
        self._adam = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
        self._steps_an_epoch = -(-learned.n // config.batch)
        steps = config.epochs * self._steps_an_epoch
        self._rate = torch.optim.lr_scheduler.LinearLR(self._adam, 1.0, 0.1, total_iters=steps)

    def weights(self) -> dict[str, torch.Tensor]:
        """A copy of the present weights."""
        return {name: tensor.clone() for name, tensor in self.network.state_dict().items()}

    def epoch(self, number: int, progress: Callable[[float], None]) -> Epoch:
        """Learn from every state once, in a fresh order, then measure on the held-out states."""
        order = self._rng.permutation(self._learned.n)
        losses = []
        for k in range(self._steps_an_epoch):
            which = np.sort(order[k * self._config.batch : (k + 1) * self._config.batch])
            losses.append(self._step(which))
            progress((k + 1) / self._steps_an_epoch)
        kl, agreement = self._look()
        if not np.isfinite(kl):
            raise DataError(f"pass {number + 1}: the held-out loss is {kl}; lower learn.learning_rate")
        return Epoch(loss=float(np.mean(losses)), held_out_kl=kl, held_out_agreement=agreement)

    def _step(self, which: np.ndarray) -> float:
        states, weight = self._learned, torch.from_numpy(self._weight[which])
        logits, value, mask = self._reader.answers(states.flat[which], states.rows[which])
        loss = weighted_kl(torch.from_numpy(states.logits[which]), logits, mask, weight)
        taught = value_loss(torch.from_numpy(states.value[which]), value, weight, self._variance)
        total = loss + self._config.value_coeff * taught
        self._adam.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        self._adam.step()
        self._rate.step()
        return float(total.detach())

    def _look(self) -> tuple[float, float]:
        """Weighted KL and agreement on the held-out states."""
        states, weight = self._held_out, self._held_out_weight
        logits = self._reader.logits(states)
        mask, counted = choices(self.network.spec.layout, states.flat)
        kl = 0.0
        for at in range(0, states.n, _BATCH):
            part = slice(at, at + _BATCH)
            w = torch.from_numpy(weight[part])
            m = torch.from_numpy(mask[part].astype(np.float32))
            taught, own = torch.from_numpy(states.logits[part]), torch.from_numpy(logits[part])
            kl += float(weighted_kl(taught, own, m, w)) * float(w.sum())
        best = [np.where(mask, x, -np.inf).argmax(-1) for x in (states.logits, logits)]
        return kl / float(weight.sum()), float((best[0] == best[1])[counted].mean())


def _weights(layout: Layout, states: States, config: LearnConfig) -> np.ndarray:
    counted = choices(layout, states.flat)[1]
    return advantage_weights(states.advantage, counted, config.weight_floor, config.weight_cap)
