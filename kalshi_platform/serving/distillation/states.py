"""States a champion meets, with what it makes of them: what students learn from and are judged by.

Owns       replaying a policy over environments and keeping an even sample of the states, bounded in memory.
Shapes     K states of S slots, A actions; the flat observation (width,) as in envs/observation.py.
Kept       states in which at least one slot has a choice: of the others nothing can be learned.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from kalshi_platform.models.networks.actions import best_actions, sample_actions
from kalshi_platform.models.networks.gae import gae
from kalshi_platform.models.networks.history import History, HistoryCodes, WindowGatherer
from kalshi_platform.models.networks.networks import PolicyNetwork
from kalshi_platform.simulation.envs.vector import ReplayVectorEnv
from kalshi_platform.simulation.replay.account import N_ACTIONS
from kalshi_platform.simulation.replay.layout import Layout

#: Steps between two estimations of advantages; what comes later enters through the value.
_FRAGMENT = 64
_BATCH = 2_048


class States(NamedTuple):
    """K states and the champion's answers; where a slot is empty its entries mean nothing."""

    flat: np.ndarray  # (K, width) f4
    rows: np.ndarray  # (K, S) i4: bank rows the slots stand at, -1 = empty
    logits: np.ndarray  # (K, S, A) f4, unmasked
    value: np.ndarray  # (K, S) f4
    advantage: np.ndarray  # (K, S) f4, of the action taken
    env: np.ndarray  # (K,) i4: the environment that met the state

    @property
    def n(self) -> int:
        """States."""
        return len(self.flat)

    def take(self, which: np.ndarray) -> "States":
        """The states at ``which`` (indices or a mask)."""
        return States(*(column[which] for column in self))


class Reservoir:
    """An even sample of at most ``capacity`` states of a stream (Vitter 1985, algorithm R)."""

    def __init__(self, capacity: int, rng: np.random.Generator) -> None:
        self._capacity, self._rng = capacity, rng
        self._columns: States | None = None
        self._seen = 0

    def add(self, states: States) -> None:
        """Take in further states; each seen so far is kept with the same probability."""
        if states.n == 0:
            return
        if self._columns is None:
            self._columns = States(
                *(np.empty((self._capacity, *column.shape[1:]), column.dtype) for column in states)
            )
        number = self._seen + np.arange(states.n)
        place = np.where(number < self._capacity, number, self._rng.integers(0, number + 1))
        kept = np.flatnonzero(place < self._capacity)
        for column, fresh in zip(self._columns, states, strict=True):
            column[place[kept]] = fresh[kept]
        self._seen += states.n

    def states(self) -> States | None:
        """The sample; None where nothing was seen."""
        if self._columns is None:
            return None
        return self._columns.take(np.arange(min(self._seen, self._capacity)))


class Champion:
    """A network asked about environments step after step; codes of rows that did not change are kept."""

    def __init__(self, network: PolicyNetwork, history: History, n_envs: int) -> None:
        self.network = network
        self._codes = HistoryCodes(network, history, n_envs) if network.spec.reads_history else None

    def at(self, flat: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Logits (N, S, A), values (N, S) and action mask (N, S, A) of every environment."""
        return self._judge(flat, None if self._codes is None else self._codes.at(rows))

    def value_of(self, flat: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Values (M, S) of any states."""
        return self._judge(flat, None if self._codes is None else self._codes.fresh(rows))[1]

    def _judge(
        self, flat: np.ndarray, codes: torch.Tensor | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        seen = self.network.spec.split(torch.from_numpy(flat))
        with torch.inference_mode():
            logits, value = self.network.decide(seen.market, codes, seen.portfolio, seen.slot_mask)
        return logits.numpy(), value.numpy(), seen.action_mask.numpy()


class _Fragment(NamedTuple):
    """T steps of N environments."""

    flat: np.ndarray  # (N, T, width) f4
    rows: np.ndarray  # (N, T, S) i4
    logits: np.ndarray  # (N, T, S, A) f4
    value: np.ndarray  # (N, T, S) f4
    reward: np.ndarray  # (N, T, S) f4
    final_value: np.ndarray  # (N, T, S) f4
    terminated: np.ndarray  # (N, T) bool
    truncated: np.ndarray  # (N, T) bool


def collect_states(
    network: PolicyNetwork,
    env: ReplayVectorEnv,
    *,
    steps: int,
    kept: int,
    n_sampling: int = 0,
    gamma: float = 0.98,
    gae_lambda: float = 0.95,
    seed: int = 0,
    say: Callable[[int], None] = lambda step: None,
) -> States | None:
    """States that ``network`` meets in ``steps`` decisions of ``env``, or until it has no episode left.

    None where no state had a choice.
    The first ``n_sampling`` environments draw their actions, the others take the most probable one.
    Advantages: models/networks/gae.py. ``say`` hears the steps done.
    """
    rng = np.random.default_rng([seed, env.n_envs])
    champion = Champion(network, env.bank.arrays, env.n_envs)
    sample = Reservoir(kept, np.random.default_rng([seed, kept, 1]))
    player = _Player(champion, env, n_sampling, rng)
    done = 0
    while done < steps and not env.done:
        length = min(_FRAGMENT, steps - done)
        fragment, last_value = player.play(length)
        done += length
        sample.add(_with_choice(env.layout, fragment, last_value, gamma, gae_lambda))
        say(done)
    return sample.states()


class _Player:
    """Steps environments with a champion's actions."""

    def __init__(
        self, champion: Champion, env: ReplayVectorEnv, n_sampling: int, rng: np.random.Generator
    ) -> None:
        self._champion, self._env, self._rng = champion, env, rng
        self._sampling = np.arange(env.n_envs) < n_sampling
        self._flat, self._rows = env.buffers()
        env.reset(self._flat, self._rows)

    def play(self, length: int) -> tuple[_Fragment, np.ndarray]:
        """The next ``length`` decisions, and the values (N, S) of the states after them."""
        env, n, s = self._env, self._env.n_envs, self._env.n_slots
        out = _Fragment(
            flat=np.empty((n, length, env.layout.width), np.float32),
            rows=np.empty((n, length, s), np.int32),
            logits=np.empty((n, length, s, N_ACTIONS), np.float32),
            **{k: np.zeros((n, length, s), np.float32) for k in ("value", "reward", "final_value")},
            **{k: np.zeros((n, length), np.bool_) for k in ("terminated", "truncated")},
        )
        for t in range(length):
            self._step(out, t)
        return out, self._champion.at(self._flat, self._rows)[1]

    def _step(self, out: _Fragment, t: int) -> None:
        env = self._env
        logits, value, mask = self._champion.at(self._flat, self._rows)
        out.flat[:, t], out.rows[:, t] = self._flat, self._rows
        out.logits[:, t], out.value[:, t] = logits, value
        actions = self._choose(logits, mask)
        reward = np.empty(env.n_envs, np.float32)
        terminated, truncated = np.zeros(env.n_envs, np.bool_), np.zeros(env.n_envs, np.bool_)
        env.step(actions, self._flat, self._rows, reward, terminated, truncated)
        out.reward[:, t] = env.slots["reward"]
        out.terminated[:, t] = terminated
        out.truncated[:, t] = truncated & ~terminated
        if (cut := np.flatnonzero(out.truncated[:, t])).size:
            out.final_value[cut, t] = self._champion.value_of(env.final_flat[cut], env.final_rows[cut])

    def _choose(self, logits: np.ndarray, mask: np.ndarray) -> np.ndarray:
        best = np.empty(logits.shape[:2], np.int8)
        best_actions(logits, mask, best)
        if not self._sampling.any():
            return best
        drawn, log_prob = np.empty_like(best), np.empty(best.shape, np.float32)
        sample_actions(logits, mask, self._rng.random(logits.shape[:2]), drawn, log_prob)
        return np.where(self._sampling[:, None], drawn, best)


def _with_choice(
    layout: Layout, fragment: _Fragment, last_value: np.ndarray, gamma: float, lam: float
) -> States:
    """The states of a fragment in which a slot has a choice."""
    advantage, target = np.empty_like(fragment.value), np.empty_like(fragment.value)
    gae(
        fragment.reward, fragment.value, fragment.terminated, fragment.truncated, fragment.final_value,
        np.ascontiguousarray(last_value), gamma, lam, advantage, target,
    )  # fmt: skip
    n, length, s, _ = fragment.logits.shape
    m = n * length
    flat = fragment.flat.reshape(m, -1)
    env = np.repeat(np.arange(n, dtype=np.int32), length)
    which = np.flatnonzero(choices(layout, flat)[1].any(axis=1))
    return States(
        flat=flat[which],
        rows=fragment.rows.reshape(m, s)[which],
        logits=fragment.logits.reshape(m, s, N_ACTIONS)[which],
        value=fragment.value.reshape(m, s)[which],
        advantage=advantage.reshape(m, s)[which],
        env=env[which],
    )


class Reader:
    """Any network's answers to kept states, a batch at a time; one instance a bank and window."""

    def __init__(self, network: PolicyNetwork, history: History) -> None:
        self.network = network
        self._gather = (
            WindowGatherer(history, network.spec.level.window) if network.spec.reads_history else None
        )

    def answers(self, flat: np.ndarray, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Logits (B, S, A), values (B, S) and action mask (B, S, A); gradients flow where they are on."""
        seen = self.network.spec.split(torch.from_numpy(flat))
        windows = index = None
        if self._gather is not None:
            windows, index = self._gather.distinct(rows)
        logits, value = self.network(seen.market, windows, index, seen.portfolio, seen.slot_mask)
        return logits, value, seen.action_mask

    def logits(self, states: States) -> np.ndarray:
        """(K, S, A) f4, unmasked."""
        out = np.empty_like(states.logits)
        with torch.inference_mode():
            for at in range(0, states.n, _BATCH):
                part = slice(at, at + _BATCH)
                out[part] = self.answers(states.flat[part], states.rows[part])[0].numpy()
        return out


def choices(layout: Layout, flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Action mask (K, S, A) bool, and which slots (K, S) hold a market with more than one legal action."""
    mask = layout.action_mask(flat) > 0.5
    return mask, (layout.slot_mask(flat) > 0.5) & (mask.sum(axis=2) > 1)
