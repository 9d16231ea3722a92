"""States that a champion meets, with its answers: students learn from them and are judged by them.

Owns       the choice of the states that are kept, and any network's answers to them.
Shapes     K states of S slots, A actions; the flat observation (width,) as in replay/layout.py.
Kept       states in which at least one slot has a choice: the others teach nothing.
"""

from collections.abc import Callable

import numpy as np
import torch

from kalshi_platform.models.networks.acting import NetworkPolicy
from kalshi_platform.models.networks.history import WindowGatherer
from kalshi_platform.models.networks.networks import Answer, PolicyNetwork
from kalshi_platform.simulation.envs.vector import ReplayVectorEnv
from kalshi_platform.simulation.replay.bank import BankArrays
from kalshi_platform.simulation.replay.layout import Layout
from kalshi_platform.simulation.rollout.discount import Discount
from kalshi_platform.simulation.rollout.fragment import Fragment, allocate, estimate_advantages, play
from kalshi_platform.simulation.rollout.reservoir import Reservoir, States
from kalshi_platform.simulation.rollout.stepper import Stepper

#: Steps between two estimations of advantages; rewards after them enter through the value.
_FRAGMENT = 64
_BATCH = 2_048
_DISCOUNT = Discount(0.98)


def collect_states(
    network: PolicyNetwork,
    env: ReplayVectorEnv,
    *,
    steps: int,
    kept: int,
    n_sampling: int = 0,
    discount: Discount = _DISCOUNT,
    gae_lambda: float = 0.95,
    seed: int = 0,
    say: Callable[[int], None] = lambda step: None,
) -> States | None:
    """Play ``network`` for ``steps`` decisions of ``env``, or until it has no episode left, and keep states.

    Returns an even sample of at most ``kept`` states with a choice; None where no state had one. The first
    ``n_sampling`` environments draw their actions, the others take the most probable one. Advantages:
    simulation/rollout/gae.py. ``say`` receives the number of steps done.
    """
    rng = np.random.default_rng([seed, env.n_envs])
    stepper = Stepper(env, NetworkPolicy(network, env.bank.arrays, rng, n_sampling))
    sample = Reservoir(kept, np.random.default_rng([seed, kept, 1]))
    done = 0
    while done < steps and not env.done:
        length = min(_FRAGMENT, steps - done)
        fragment = allocate(env.n_envs, length, env.layout.width, env.n_slots, keep_logits=True)
        # One pass a step: tier sets were made so, and other passes round otherwise.
        last_value = play(stepper, fragment, finals_at_once=False)
        estimate_advantages(fragment, last_value, discount, gae_lambda)
        done += length
        sample.add(_with_choice(env.layout, fragment))
        say(done)
    return sample.states()


def _with_choice(layout: Layout, fragment: Fragment) -> States:
    """States of a fragment in which a slot has a choice."""
    n, length = fragment.terminated.shape
    flat = fragment.flat.reshape(n * length, -1)
    which = np.flatnonzero(choices(layout, flat)[1].any(axis=1))
    per_slot = (fragment.rows, fragment.logits, fragment.value, fragment.advantage)
    rows, logits, value, advantage = (c.reshape(n * length, *c.shape[2:])[which] for c in per_slot)
    env = np.repeat(np.arange(n, dtype=np.int32), length)[which]
    return States(flat[which], rows, logits, value, advantage, env)


class StateReader:
    """Any network's answers to kept states, a batch at a time; one instance a bank and window."""

    def __init__(self, network: PolicyNetwork, arrays: BankArrays) -> None:
        self.network = network
        self._gather = (
            WindowGatherer(arrays, network.spec.level.window) if network.spec.reads_history else None
        )

    def answers(self, flat: np.ndarray, rows: np.ndarray) -> Answer:
        """Answers to B states, ``flat`` (B, width) and ``rows`` (B, S); gradients flow where they are on."""
        codes = None
        if self._gather is not None:
            codes = self.network.slot_codes(*self._gather.distinct(rows))
        return self.network.answer(torch.from_numpy(flat), codes)

    def logits(self, states: States) -> np.ndarray:
        """Logits (K, S, A) f4, unmasked, of the network at ``states``."""
        out = np.empty_like(states.logits)
        with torch.inference_mode():
            for at in range(0, states.n, _BATCH):
                part = slice(at, at + _BATCH)
                out[part] = self.answers(states.flat[part], states.rows[part]).logits.numpy()
        return out


def choices(layout: Layout, flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Action mask (K, S, A) bool, and mask (K, S) of slots whose market has more than one legal action."""
    mask = layout.action_mask(flat) > 0.5
    return mask, (layout.slot_mask(flat) > 0.5) & (mask.sum(axis=2) > 1)
