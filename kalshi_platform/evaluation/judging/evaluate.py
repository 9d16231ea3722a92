"""Judges a policy on the markets of one split, beside the baselines, on the same episodes.

Owns   the schedule, the order of the rollouts, and putting their figures together.
Units  returns are fractions of the episode's capital.
Rules  the trading filter stands before the judged policy, as where it is served; baselines play without.
Not    opening the data: held_out.py guards the test split before a bank of it exists.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from kalshi_platform.domain.saying import Say, silent
from kalshi_platform.domain.units import NO_PRICE
from kalshi_platform.evaluation.judging.checkup import Facts, examine
from kalshi_platform.evaluation.judging.compare import compare
from kalshi_platform.evaluation.judging.evaluation import (
    Coverage,
    EvalConfig,
    Evaluation,
    OracleResult,
    Subject,
)
from kalshi_platform.evaluation.judging.fee_ladder import FULL_E6, FeeRung, climb
from kalshi_platform.evaluation.judging.fee_times import DatedFees, play_both
from kalshi_platform.evaluation.judging.oracle import hindsight_by_segment
from kalshi_platform.evaluation.judging.rollout import run_policy
from kalshi_platform.evaluation.judging.sample import Sample, pool
from kalshi_platform.evaluation.judging.summary import PolicyResult, summarise
from kalshi_platform.evaluation.judging.targets import targets_of
from kalshi_platform.evaluation.judging.watch import STAT_MAX, STAT_MIN
from kalshi_platform.models.networks.acting import NetworkPolicy
from kalshi_platform.models.networks.device import torch_threads
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.models.rules.baselines import BASELINES, Baseline, build_baseline
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.envs.episodes import FixedEpisodes, event_episodes, market_episodes
from kalshi_platform.simulation.envs.state import Episodes
from kalshi_platform.simulation.envs.vector import ReplayVectorEnv
from kalshi_platform.simulation.replay.bank import FULL_DEPTH, Bank
from kalshi_platform.simulation.rollout.policy import Policy

#: Makes the policy for the environments it will meet.
PolicyMaker = Callable[[ReplayVectorEnv], Policy]
_ORACLE_NOTE: Final = "takers of at most the position limit, at the best prices, without latency"


def trained(policy: FrozenPolicy) -> PolicyMaker:
    """Maker of the policy that plays ``policy``, a trained network."""
    return lambda env: NetworkPolicy(policy.network, env.bank.arrays)


def evaluate(
    maker: PolicyMaker,
    bank: Bank,
    env: EnvConfig,
    config: EvalConfig | None = None,
    *,
    subject: Subject | None = None,
    train_return: float | None = None,
    training_metrics: Sequence[Mapping[str, object]] = (),
    say: Say = silent,
) -> Evaluation:
    """Play the policy and every baseline over ``bank`` under the settings ``env``; see EvalConfig.

    ``train_return`` (mean return on training events) and ``training_metrics`` (rows of metrics.jsonl)
    only inform the checkup. ``say`` receives one line a rollout.
    """
    config, subject = config or EvalConfig(), subject or Subject()
    started = time.perf_counter()
    stage = _Stage(bank, config, say)
    sample = stage.play(maker, env, "policy")
    result = summarise(sample, "policy", "the trained policy", config.bootstrap)
    rivals = [
        (b, stage.play_baseline(b, env, result.trading.trade_rate))
        for b in BASELINES
        if b.name in config.baselines
    ]
    ladder: tuple[FeeRung, ...] = ()
    if config.fee_ladder:
        ladder = climb(lambda e: stage.play(maker, e, "fees"), env, config.bootstrap, known=(sample,))
    dated: tuple[DatedFees, ...] = ()
    if config.fee_times:
        dated = play_both(
            lambda e: stage.play(maker, e, f"fees {e.fees}"), bank, env, config.bootstrap, known=(sample,)
        )
    oracle = stage.oracle(env, result)
    facts = _facts(sample, result, oracle, train_return, training_metrics)
    return Evaluation(
        subject=subject,
        config=config,
        env=env,
        coverage=Coverage.of(bank),
        policy=result,
        baselines=tuple(summarise(s, b.name, b.meaning, config.bootstrap) for b, s in rivals),
        comparisons=tuple(compare(sample, s, b.name, config.bootstrap) for b, s in rivals),
        targets=targets_of(result),
        fee_ladder=ladder,
        fee_times=dated,
        oracle=oracle,
        findings=examine(facts, config.checkup),
        wall_s=time.perf_counter() - started,
    )


def score(maker: PolicyMaker, bank: Bank, env: EnvConfig, config: EvalConfig | None = None) -> PolicyResult:
    """Play the policy alone and return its figures, as training does between iterations to validate it."""
    config = config or EvalConfig()
    return summarise(play(maker, bank, env, config), "policy", "the trained policy", config.bootstrap)


def play(maker: PolicyMaker, bank: Bank, env: EnvConfig, config: EvalConfig, say: Say = silent) -> Sample:
    """Play the policy alone; the samples of two policies on one bank and ``config`` can be paired."""
    return _Stage(bank, config, say).play(maker, env, "policy")


class _Stage:
    """One bank and one schedule, on which all policies play."""

    def __init__(self, bank: Bank, config: EvalConfig, say: Say) -> None:
        self.bank, self.config, self.say = bank, config, say

    @property
    def is_random(self) -> bool:
        """True where the seed decides the episodes."""
        return self.config.schedule == "windows"

    def schedule(self, n_slots: int, seed: int) -> Episodes:
        """Episodes of one seed, longest first, so that few environments wait for the last."""
        if self.config.schedule == "events":
            table = event_episodes(self.bank, n_slots)
        elif self.config.schedule == "markets":
            table = market_episodes(self.bank, n_slots)
        else:
            steps, each = self.config.window_steps, self.config.episodes_per_market
            table = market_episodes(self.bank, n_slots, steps, each, seed)
        segments = self.bank.arrays.segments
        length = np.where(table.segment >= 0, segments["stop"][table.segment] - table.start, 0).sum(axis=1)
        order = np.argsort(-np.minimum(length, table.max_steps), kind="stable")
        return Episodes(*(column[order] for column in table))

    def play(
        self,
        maker: PolicyMaker,
        env_config: EnvConfig,
        name: str,
        random_policy: bool = False,
        *,
        filtered: bool = True,
    ) -> Sample:
        """Roll the policy out over every seed that can change the result.

        ``filtered``: behind the trading filter, as a policy is served. A baseline is no such policy.
        """
        seeds = self.config.seeds if self.is_random or random_policy else self.config.seeds[:1]
        rollouts = []
        for seed in seeds:
            table = self.schedule(env_config.n_slots, seed)
            n_envs = min(self.config.n_envs, table.number.size)
            env = ReplayVectorEnv(self.bank, FixedEpisodes(table), env_config, n_envs)
            with torch_threads(self.config.torch_threads):
                rollouts.append(run_policy(maker(env), env, self.config.rollout, name, filtered=filtered))
            self.say(f"{name}: seed {seed}, {table.number.size} episodes, {rollouts[-1].wall_s:.1f} s")
        return pool(self.bank, env_config, seeds, rollouts, windows=self.is_random)

    def play_baseline(self, baseline: Baseline, env: EnvConfig, trade_rate: float) -> Sample:
        """Roll a baseline out; each random seed has a generator of its own."""
        style = baseline.order_style or env.order_style
        seeds = iter(self.config.seeds)

        def make(vector_env: ReplayVectorEnv) -> Policy:
            return build_baseline(baseline.name, vector_env.layout, self.bank, trade_rate, next(seeds))

        styled = env.replace(order_style=style)
        return self.play(make, styled, baseline.name, baseline.is_random, filtered=False)

    def oracle(self, env: EnvConfig, result: PolicyResult) -> OracleResult | None:
        """Hindsight optimum where it bounds the policy (takers, full depth, whole lives), else None."""
        full_depth = bool((self.bank.arrays.markets["source"] == FULL_DEPTH).all())
        if not full_depth or env.order_style != "taker" or self.is_random:
            return None
        best = hindsight_by_segment(self.bank, env.position_limit_e2, env.fee_scale_e6, env.fees)
        played = self.schedule(env.n_slots, self.config.seeds[0]).segment
        total = int(best[played[played >= 0]].sum())
        captured = result.trading.pnl_e6 / total if total > 0 else None
        return OracleResult(pnl_e6=total, captured=captured, note=_ORACLE_NOTE)


def unprinted_markets(bank: Bank) -> int:
    """Number of markets with rows to step over whose rows show no trade."""
    arrays = bank.arrays
    printed = np.concatenate([[0], np.cumsum(arrays.rows["print_px_e4"] != NO_PRICE)])
    trades = printed[arrays.segments["stop"]] - printed[arrays.segments["start"]]
    by_market = np.bincount(arrays.segments["market"], trades, minlength=len(bank.markets))
    return int((by_market[np.unique(arrays.segments["market"])] == 0).sum())


def _facts(
    sample: Sample,
    result: PolicyResult,
    oracle: OracleResult | None,
    train_return: float | None,
    training_metrics: Sequence[Mapping[str, object]],
) -> Facts:
    parts = [r.tallies.stats for r in sample.rollouts]
    stats = np.sum(parts, axis=0)
    stats[:, STAT_MIN] = np.min([p[:, STAT_MIN] for p in parts], axis=0)
    stats[:, STAT_MAX] = np.max([p[:, STAT_MAX] for p in parts], axis=0)
    full_fees = sample.config.fee_scale_e6 == FULL_E6
    return Facts(
        result=result,
        stats=stats,
        feature_names=sample.rollouts[0].feature_names,
        oracle_pnl_e6=oracle.pnl_e6 if oracle and full_fees else None,
        train_return=train_return,
        unprinted_markets=unprinted_markets(sample.bank),
        training_metrics=tuple(training_metrics),
    )
