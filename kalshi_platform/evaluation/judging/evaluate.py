"""Judges a policy on the markets of one split, beside the baselines, on the same episodes.

Owns   the schedule, the order of the rollouts, and putting their figures together.
Units  returns are fractions of the episode's capital.
Rules  the trading filter stands before the judged policy, as where it is served; baselines play without.
Not    opening the data: held_out.py guards the test split before a bank of it exists.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

import numpy as np

from kalshi_platform.domain.commit import Stamp
from kalshi_platform.domain.saying import Say, detail, silent
from kalshi_platform.evaluation.judging.checkup import examine
from kalshi_platform.evaluation.judging.checkup_facts import TrainSample
from kalshi_platform.evaluation.judging.compare import compare, paired_gaps
from kalshi_platform.evaluation.judging.drawdowns import deepest_drawdowns
from kalshi_platform.evaluation.judging.evaluation import (
    Coverage,
    EvalConfig,
    Evaluation,
    OracleResult,
    Subject,
)
from kalshi_platform.evaluation.judging.event_map import map_events
from kalshi_platform.evaluation.judging.fee_ladder import FeeRung, climb
from kalshi_platform.evaluation.judging.fee_times import DatedFees, play_both
from kalshi_platform.evaluation.judging.gathering import gather_facts
from kalshi_platform.evaluation.judging.ledger import ledger_of, note_of
from kalshi_platform.evaluation.judging.ledger_tables import LedgerTables, tables_of
from kalshi_platform.evaluation.judging.needed import Needed, needed_blocks
from kalshi_platform.evaluation.judging.oracle import hindsight_by_segment
from kalshi_platform.evaluation.judging.rollout import run_policy
from kalshi_platform.evaluation.judging.sample import Sample, pool
from kalshi_platform.evaluation.judging.summary import PolicyResult, summarise
from kalshi_platform.evaluation.judging.targets import targets_of
from kalshi_platform.evaluation.judging.what_if import replay_variants
from kalshi_platform.evaluation.judging.worth import worth
from kalshi_platform.models.networks.acting import NetworkPolicy
from kalshi_platform.models.networks.device import torch_threads
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.models.registry.evidence import RuleChoice
from kalshi_platform.models.rules.baselines import BASELINES, Baseline, build_baseline
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.envs.episodes import FixedEpisodes, event_episodes, market_episodes
from kalshi_platform.simulation.envs.state import Episodes
from kalshi_platform.simulation.envs.vector import ReplayVectorEnv
from kalshi_platform.simulation.replay.bank import FULL_DEPTH, Bank
from kalshi_platform.simulation.replay.infos import numbered
from kalshi_platform.simulation.rollout.policy import Policy

#: Makes the policy for the environments it will meet.
PolicyMaker = Callable[[ReplayVectorEnv], Policy]
#: Receives the ledger of the judged policy.
KeepLedger = Callable[[LedgerTables], None]
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
    rules: RuleChoice | None = None,
    train: TrainSample | None = None,
    training_metrics: Sequence[Mapping[str, object]] = (),
    keep_ledger: KeepLedger | None = None,
    say: Say = silent,
) -> Evaluation:
    """Play the policy and every baseline over ``bank`` under the settings ``env``; see EvalConfig.

    ``rules`` are the rules as training events chose them (rivals.py); a rule without a threshold chosen there
    is not played. ``train`` (train_sample.py) and ``training_metrics`` (rows of metrics.jsonl) only inform
    the checkup. ``keep_ledger`` receives its tables (ledger_tables.py). ``say`` receives one line a rollout.
    """
    config, subject = config or EvalConfig(), subject or Subject()
    started = time.perf_counter()
    stage = PlayStage(bank, config, say)
    sample = stage.play(maker, env, "policy", keep_trips=True)
    result = summarise(sample, "policy", "the trained policy", config.bootstrap)
    rivals = _play_rivals(stage, env, result, rules)
    replays = _replay_settings(_Replays(stage, maker, sample), bank, env, config, sample)
    baselines = tuple(summarise(s, b.name, b.meaning, config.bootstrap) for b, s in rivals)
    comparisons = tuple(compare(sample, s, b.name, config.bootstrap) for b, s in rivals)
    oracle = stage.oracle(env, result)
    best = rules.best.name if rules and rules.best else None
    facts = gather_facts(
        sample, result, oracle_pnl_e6=oracle.pnl_e6 if oracle else None, train=train,
        training_metrics=tuple(training_metrics), baselines=baselines, comparisons=comparisons,
        chosen_rule=best, what_if=replays["what_if"],
    )  # fmt: skip
    ledger = ledger_of(sample)
    if keep_ledger is not None:
        keep_ledger(tables_of(sample, ledger, result, baselines, best))
    found = Evaluation(
        made=Stamp.now(),
        subject=subject,
        config=config,
        env=env,
        coverage=Coverage.of(bank),
        policy=result,
        baselines=baselines,
        comparisons=comparisons,
        rules=rules,
        needed=_needed(sample, rivals, rules, config.bootstrap.confidence),
        targets=targets_of(result),
        **replays,
        drawdowns=deepest_drawdowns(result.curve_ns, result.curve_return, int(sample.records.start_ns.min())),
        event_map=map_events(sample),
        train=train,
        ledger=note_of(ledger),
        oracle=oracle,
        findings=examine(facts, config.checkup),
        wall_s=time.perf_counter() - started,
    )
    return found.replace(worth=worth(found.figures))


def score(
    maker: PolicyMaker,
    bank: Bank,
    env: EnvConfig,
    config: EvalConfig | None = None,
    blocks: Collection[str] | None = None,
) -> PolicyResult:
    """Play the policy alone and return its figures, as training does between iterations to validate it.

    ``blocks``: only the markets of these blocks are played; None plays all.
    """
    config = config or EvalConfig()
    sample = PlayStage(bank, config, silent, blocks).play(maker, env, "policy")
    return summarise(sample, "policy", "the trained policy", config.bootstrap)


def play(maker: PolicyMaker, bank: Bank, env: EnvConfig, config: EvalConfig, say: Say = silent) -> Sample:
    """Play the policy alone; the samples of two policies on one bank and ``config`` can be paired."""
    return PlayStage(bank, config, say).play(maker, env, "policy")


class _Replays:
    """The policy under other settings on the same episodes; each setting is played once."""

    def __init__(self, stage: "PlayStage", maker: PolicyMaker, played: Sample) -> None:
        self._stage, self._maker = stage, maker
        self._env, self._at_hand = played.config, {played.config.digest: played}

    def __call__(self, env: EnvConfig) -> Sample:
        """Sample of the policy under ``env``."""
        found = self._at_hand.get(env.digest)
        if found is None:
            changed = [name for name, value in env if value != getattr(self._env, name)]
            name = ", ".join(f"{name} {getattr(env, name)}" for name in changed)
            found = self._at_hand[env.digest] = self._stage.play(self._maker, env, f"what if {name}")
        return found


def _replay_settings(
    replay: _Replays, bank: Bank, env: EnvConfig, config: EvalConfig, known: Sample
) -> dict[str, Any]:
    """Results of the policy under other settings, by their field of Evaluation."""
    ladder: tuple[FeeRung, ...] = ()
    if config.fee_ladder:
        ladder = climb(replay, env, config.bootstrap, known=(known,))
    dated: tuple[DatedFees, ...] = ()
    if config.fee_times:
        dated = play_both(replay, bank, env, config.bootstrap, known=(known,))
    before = time.perf_counter()
    what_if = replay_variants(replay, env, config.bootstrap) if config.what_if else ()
    what_if_s = time.perf_counter() - before
    return {"fee_ladder": ladder, "fee_times": dated, "what_if": what_if, "what_if_s": what_if_s}


class PlayStage:
    """One bank and one schedule, on which all policies play.

    ``blocks``: only the markets of these blocks are played; None = all.
    """

    def __init__(
        self, bank: Bank, config: EvalConfig, say: Say, blocks: Collection[str] | None = None
    ) -> None:
        self.bank, self.config, self.say = bank, config, detail(say)
        self._played = None
        if blocks is not None:
            names, place = numbered(bank.markets, "block")
            self._played = np.array([name in blocks for name in names])[place]

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
        if self._played is not None:
            markets = segments["market"][table.segment.max(axis=1)]
            table = Episodes(*(column[self._played[markets]] for column in table))
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
        keep_trips: bool = False,
    ) -> Sample:
        """Roll the policy out over every seed that can change the result.

        ``filtered``: behind the trading filter, as a policy is served. A baseline is no such policy.
        """
        seeds = self.config.seeds if self.is_random or random_policy else self.config.seeds[:1]
        rollouts = []
        for seed in seeds:
            table = self.schedule(env_config.n_slots, seed)
            n_envs = min(self.config.n_envs, table.number.size)
            env = ReplayVectorEnv(self.bank, FixedEpisodes(table), env_config, n_envs, seed=seed)
            with torch_threads(self.config.torch_threads):
                rollouts.append(
                    run_policy(
                        maker(env), env, self.config.rollout, name, filtered=filtered, keep_trips=keep_trips
                    )
                )
            self.say(f"{name}: seed {seed}, {table.number.size} episodes, {rollouts[-1].wall_s:.1f} s")
        return pool(self.bank, env_config, seeds, rollouts, windows=self.is_random)

    def play_baseline(
        self,
        baseline: Baseline,
        env: EnvConfig,
        *,
        trade_rate: float = 0.0,
        exposure: float = 0.0,
        threshold: float | None = None,
    ) -> Sample:
        """Roll a baseline out; each random seed has a generator of its own."""
        styled = env.replace(order_style=baseline.order_style or env.order_style)
        if not baseline.is_random:
            styled = styled.replace(hold="keep")  # a rule says HOLD where it leaves its order alone
        if baseline.improve_ticks is not None:
            styled = styled.replace(improve_ticks=baseline.improve_ticks)
        seeds = iter(self.config.seeds)

        def make(vector_env: ReplayVectorEnv) -> Policy:
            return build_baseline(
                baseline.name, vector_env.layout, self.bank, trade_rate, next(seeds),
                exposure=exposure, threshold=threshold,
            )  # fmt: skip

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


def _play_rivals(
    stage: PlayStage, env: EnvConfig, result: PolicyResult, rules: RuleChoice | None
) -> list[tuple[Baseline, Sample]]:
    """Play every baseline asked for; one with thresholds only where training events chose one."""
    played = []
    for baseline in BASELINES:
        threshold = rules.threshold_of(baseline.name) if rules else None
        if baseline.name not in stage.config.baselines or (baseline.grid and threshold is None):
            continue
        sample = stage.play_baseline(
            baseline, env, trade_rate=result.trading.trade_rate, exposure=mean_exposure(result),
            threshold=threshold,
        )  # fmt: skip
        played.append((baseline, sample))
    return played


def _needed(
    sample: Sample, rivals: Sequence[tuple[Baseline, Sample]], rules: RuleChoice | None, confidence: float
) -> tuple[Needed, ...]:
    """Blocks that the gate's two questions need, from the blocks that were played."""
    best = rules.best if rules else None
    rival = next((s for b, s in rivals if best is not None and b.name == best.name), None)
    gaps = None if rival is None else paired_gaps(sample, rival, "the best rule")
    return needed_blocks(sample.block_means()[1], gaps, rules, confidence)


def mean_exposure(result: PolicyResult) -> float:
    """Mean size of the policy's position over all decisions, a share of its limit, from the heat map."""
    counts = np.array(result.heat, np.float64).sum(axis=1)
    half = counts.size // 2
    steps = np.abs(np.arange(counts.size) - half)
    middle = np.where(steps > 0, (steps - 0.5) / half, 0.0)
    return float((counts * middle).sum() / max(counts.sum(), 1.0))
