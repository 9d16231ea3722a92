"""Market-slot decisions a second of the vector environment on one core, observations written.

Setting  256 environments x 5 slots on made markets; random available actions, chosen outside the timing: a
         third of them are orders (none while one is in flight). Only slots that hold a market are counted.
Peer     Gymnasium's SyncVectorEnv with 64 CartPoles, one decision a step: a named rate, not a rival.
Share    wall time inside ``step`` of the time the columnar reader samples with the smallest network. Measured
         with one and two torch threads; the faster one counts. Two threads on busy cores wait for each
         other and sampled 70 times slower here, which made the share look like one hundredth.
Checked  a second run from the same seed writes the same bits; the account of every environment adds up.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterator

import gymnasium
import numpy as np
import torch
import training_input as made

from kalshi_platform.learning.training.reader import ColumnarReader
from kalshi_platform.learning.training.source import TrainingSource
from kalshi_platform.models.networks.networks import PolicyNetwork
from kalshi_platform.simulation.envs.vector import ReplayVectorEnv
from kalshi_platform.simulation.replay.account import position_value_e6

STEPS, WARM_UPS = 600, 100
N_CARTPOLES, CARTPOLE_STEPS = 64, 500
FRAGMENTS = 2
TARGET_DECISIONS_S, TARGET_SHARE = 500_000, 0.2


def random_actions(rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    """Actions (N, S) int8: one available action a slot, uniformly."""
    return np.asarray((rng.random(mask.shape, np.float32) * mask).argmax(2).astype(np.int8))


def play(env: ReplayVectorEnv, steps: int) -> tuple[float, int, int, str]:
    """Trade at random for ``steps``.

    Returns (seconds in ``step``, decisions, orders, digest of all written).
    """
    rng = np.random.default_rng([2, env.n_envs])
    flat, rows = env.buffers()
    reward = np.zeros(env.n_envs, np.float32)
    ends = np.zeros(env.n_envs, bool), np.zeros(env.n_envs, bool)
    env.reset(flat, rows)
    spent_s, decisions, orders, seen = 0.0, 0, 0, hashlib.sha256()
    for _ in range(steps):
        actions = random_actions(rng, env.layout.action_mask(flat))
        decisions += int((rows >= 0).sum())
        orders += int((actions != 0).sum())
        started_s = time.perf_counter()
        env.step(actions, flat, rows, reward, *ends)
        spent_s += time.perf_counter() - started_s
        seen.update(reward)
    seen.update(flat)
    return spent_s, decisions, orders, seen.hexdigest()


def check_accounts(env: ReplayVectorEnv) -> None:
    """Raise where the equity of an environment is not what its slots earned."""
    value = np.vectorize(position_value_e6)(env.slots["position_e2"], env.slots["mark2_e4"])
    earned = (env.slots["slot_cash_e6"] + value).sum(1)
    if not (env.equity_e6 - env.config.capital_e6 == earned).all():
        raise RuntimeError("env_step: an account does not add up")


def decisions_per_s(source: TrainingSource) -> tuple[float, float]:
    """Decisions a second and orders a decision, on one core."""
    env, _ = source.vector_env(made.N_ENVS, seed=0)
    play(env, WARM_UPS)
    results = []
    for _ in range(2):
        env, _ = source.vector_env(made.N_ENVS, seed=0)
        results.append(play(env, STEPS))
        check_accounts(env)
    if results[0][3] != results[1][3]:
        raise RuntimeError("env_step: two runs from one seed differ")
    spent_s, decisions, orders, _ = min(results)
    return decisions / spent_s, orders / decisions


def cartpole_per_s() -> float:
    """Steps a second of Gymnasium's CartPole, 64 at a time, on one core."""
    env = gymnasium.make_vec("CartPole-v1", num_envs=N_CARTPOLES, vectorization_mode="sync")
    env.reset(seed=0)
    actions = np.random.default_rng(0).integers(0, 2, (CARTPOLE_STEPS, N_CARTPOLES))
    started_s = time.perf_counter()
    for action in actions:
        env.step(action)
    rate = actions.size / (time.perf_counter() - started_s)
    env.close()
    return rate


def share_of_sampling(source: TrainingSource) -> float:
    """Share of the columnar reader's wall time spent in ``step``, at the thread count that samples faster."""
    config = made.config("tiny")
    torch.manual_seed(0)
    reader = ColumnarReader(source, config, PolicyNetwork(source.policy_spec("tiny")), 0)
    env, inside_s = reader.stepper.env, 0.0
    step = env.step

    def timed(*arguments: np.ndarray) -> None:
        nonlocal inside_s
        started_s = time.perf_counter()
        step(*arguments)
        inside_s += time.perf_counter() - started_s

    env.step = timed
    reader.next()
    measured = []
    for n_threads in (1, 2):
        torch.set_num_threads(n_threads)
        inside_s, started_s = 0.0, time.perf_counter()
        for _ in range(FRAGMENTS):
            reader.next()
        total_s = time.perf_counter() - started_s
        measured.append((total_s, inside_s / total_s))
    return min(measured)[1]


def main() -> Iterator[dict[str, object]]:
    """Yield one line; raises where an answer is wrong, and says which targets are missed."""
    source = made.source()
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    value, orders = decisions_per_s(source)
    peer = cartpole_per_s()
    os.sched_setaffinity(0, cores)
    share = share_of_sampling(source)
    yield {
        "bench": "env_step",
        "value": round(value),
        "unit": "market-slot decisions/s",
        "peer": f"gymnasium {gymnasium.__version__} SyncVectorEnv, 64 CartPole",
        "peer_value": round(peer),
        "ratio": round(value / peer, 1),
        "share_of_sampling": round(share, 3),
        "orders_per_decision": round(orders, 2),
        "target": TARGET_DECISIONS_S,
        "meets_targets": bool(value >= TARGET_DECISIONS_S and share <= TARGET_SHARE),
    }


if __name__ == "__main__":
    for line in main():
        print(json.dumps(line), flush=True)
