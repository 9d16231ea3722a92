"""Let a policy trade a fixed schedule of episodes and keep what judging it needs, in bounded memory.

Owns   what is watched before and after each step, vectorised over environments (no Python per environment).
Units  cash 1e-6 dollar, time ns; the curve is a fraction of capital, averaged over episodes.
Not    what the figures mean (metrics.py, summary.py) nor how they are watched (watch.py).
"""

import time
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from kalshi_platform.domain.actions import HOLD
from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.units import NS_PER_MS
from kalshi_platform.evaluation.judging import watch
from kalshi_platform.evaluation.judging.fills import FILL_DTYPE, ORDER_DTYPE, FillLog
from kalshi_platform.evaluation.judging.trips import Accounts, Ended, allocate_trips
from kalshi_platform.evaluation.statistics.metrics import sharpe_of_moments
from kalshi_platform.models.networks.acting import NetworkPolicy
from kalshi_platform.models.rules.filtered import Filtered
from kalshi_platform.simulation.envs.records import EpisodeRecords, join_records
from kalshi_platform.simulation.envs.vector import ReplayVectorEnv
from kalshi_platform.simulation.replay.bank import Bank
from kalshi_platform.simulation.replay.execution import CANCEL, IDLE
from kalshi_platform.simulation.replay.infos import closes_ns_of, numbered
from kalshi_platform.simulation.replay.observation import PORTFOLIO
from kalshi_platform.simulation.rollout.policy import Policy
from kalshi_platform.simulation.rollout.stepper import Stepper


class RolloutConfig(Config):
    """Settings of the sampling while a policy trades."""

    grid_points: int = Field(400, ge=2, le=100_000, description="points of the equity curve")
    stats_every: int = Field(8, ge=1, description="observations are inspected every so many steps")
    old_book_ms: int = Field(60_000, ge=1, description="a book older than this at a decision counts as old")


@dataclass(frozen=True)
class Rollout:
    """Record of a policy's trading. K episodes, M records (episode, slot), G grid points, F + P features."""

    records: EpisodeRecords  # (M,)
    episode: np.ndarray  # (K,) i8
    drawdown_e6: np.ndarray  # (K,) i8: largest fall of the episode's equity
    step_sharpe: np.ndarray  # (K,) f8: Sharpe ratio of the rewards of its steps
    curve_ns: np.ndarray  # (G,) i8
    curve_return: np.ndarray  # (G,) f8: mean over episodes of (equity - capital) / capital
    tallies: watch.Tallies
    feature_names: tuple[str, ...]  # rows of tallies.stats
    events: tuple[str, ...]  # rows of the event tables in tallies
    mean_entropy: float | None  # of the policy's own probabilities, share of the most possible
    idle_slots: int  # decisions at which only HOLD was available
    rule_slots: dict[str, int]  # reason -> decisions that the trading filter took from the policy
    decisions: int  # slot decisions in all
    capital_e6: int
    old_book_ms: int  # age from which a book counted as old
    trips: np.ndarray  # (T,) TRIP_DTYPE of trips.py, in the order they ended; empty where not kept
    fills: np.ndarray  # FILL_DTYPE of fills.py, in the order they were seen; empty where no trip is kept
    orders: np.ndarray  # ORDER_DTYPE of fills.py: what rested in the book; as ``fills``
    wall_s: float


def number_events(bank: Bank) -> tuple[tuple[str, ...], np.ndarray]:
    """Events in order of first appearance, and each market's index into them (M,) i4."""
    names, index = numbered(bank.markets, "event")
    return names, index.astype(np.int32)


def number_blocks(bank: Bank) -> tuple[tuple[str, ...], np.ndarray]:
    """Blocks in order of first appearance, and each market's index into them (M,) i4."""
    names, index = numbered(bank.markets, "block")
    return names, index.astype(np.int32)


def run_policy(
    policy: Policy,
    env: ReplayVectorEnv,
    config: RolloutConfig | None = None,
    name: str = "policy",
    *,
    filtered: bool = False,
    keep_trips: bool = False,
) -> Rollout:
    """Trade every scheduled episode of ``env``, which must play a list that ends (``FixedEpisodes``).

    ``filtered``: the rules of the trading filter come before the policy, as they do where it is served.
    ``keep_trips``: every round trip, fill and resting order is kept, 60 to 90 bytes each, for a ledger.
    ContractError where the policy chooses a masked action or the schedule is empty.
    """
    config = config or RolloutConfig()
    session = _Session(policy, env, config, name, filtered=filtered, keep_trips=keep_trips)
    started = time.perf_counter()
    while not env.done:
        session.advance()
    return session.result(time.perf_counter() - started)


class _Session:
    """One rollout under way: the stepper and the counts so far."""

    def __init__(
        self,
        policy: Policy,
        env: ReplayVectorEnv,
        config: RolloutConfig,
        name: str,
        *,
        filtered: bool,
        keep_trips: bool,
    ) -> None:
        self.policy, self.env, self.config, self.name = policy, env, config, name
        self.filtered = Filtered(policy, env) if filtered else None
        self.stepper = Stepper(env, self.filtered or policy)
        layout = env.layout
        self.feature_names = (*env.bank.feature_names, *PORTFOLIO)
        self.events, market_event = number_events(env.bank)
        self.places = _places(env, market_event, config)
        self.trackers = watch.allocate_trackers(env.n_envs, layout.n_slots, env.config.capital_e6)
        self.tallies = watch.allocate_tallies(
            len(self.events),
            config.grid_points,
            len(self.feature_names),
            len(env.bank.markets),
        )
        capacity = 4 * env.n_envs * layout.n_slots + 4_096 if keep_trips else 0
        self.trips = allocate_trips(env.n_envs, layout.n_slots, capacity)
        self.log = FillLog(env) if keep_trips else None
        self.accounts = _accounts(env)
        self.parts: list[EpisodeRecords] = []
        self.paths: list[tuple[int, int, float]] = []
        self.ended_trips: list[np.ndarray] = []
        self.entropies: list[float] = []
        self.steps = self.idle = self.decisions = 0
        self.trackers.held[:] = env.envs["active"] == 0
        self._look()

    def advance(self) -> None:
        """Decide once in every environment, and watch the step."""
        stepper = self.stepper
        active, mask = stepper.rows >= 0, stepper.action_mask > 0
        if self.steps % self.config.stats_every == 0:
            self._inspect(active, mask)
        can_trade = mask[..., 1:].any(axis=2) & active
        running = (self.trackers.held == 0)[:, None]
        self.decisions += int((active & running).sum())
        self.idle += int((active & running & ~can_trade).sum())
        before, ordered = self.env.episode.copy(), _ordered(self.env)
        stepper.step()
        np.copyto(ordered, stepper.actions, where=stepper.actions != HOLD)
        watch.watch_rewards(self.trackers, stepper.reward)
        if stepper.terminated.any() or stepper.truncated.any():
            self._finish(before, ordered)
        self._look()
        self._move_trips()
        self.steps += 1

    def _move_trips(self, *, all_of_them: bool = False) -> None:
        """Take the kept trips out of their buffer while a step may still fill it."""
        book, n = self.trips, int(self.trips.n_trips[0])
        if n and (all_of_them or n + 2 * self.stepper.rows.size > book.trips.size):
            self.ended_trips.append(book.trips[:n].copy())
            book.n_trips[0] = 0

    def _look(self) -> None:
        watch.watch_step(
            self.trackers, self.tallies, self.trips, self.places, self.accounts, self.stepper.rows
        )
        if self.log is not None:
            self.log.look(self.stepper.rows)

    def _inspect(self, active: np.ndarray, mask: np.ndarray) -> None:
        layout, stats, flat = self.env.layout, self.tallies.stats, self.stepper.flat
        blocks = layout.split(flat)
        seen = active & (self.trackers.held == 0)[:, None]
        watch.watch_features(stats, blocks.market, seen, 0)
        watch.watch_features(stats, blocks.portfolio, seen, layout.n_market)
        if isinstance(self.policy, NetworkPolicy):
            open_choice = seen & (mask.sum(axis=2) > 1)
            if open_choice.any():
                all_shares = self.policy.probabilities(flat, self.stepper.rows)
                share = np.asarray(all_shares, np.float64)[open_choice]
                most = np.log(mask[open_choice].sum(axis=1))
                logs = np.log(np.where(share > 0, share, 1.0))
                self.entropies.append(float((-(share * logs).sum(axis=1) / most).mean()))

    def _finish(self, before: np.ndarray, ordered: np.ndarray) -> None:
        """Close the episodes that ended in this step.

        ``before`` (N,) i8 are the ids it began with, ``ordered`` (N, S) i1 the orders that could fill in it.
        """
        records = self.env.drain_episodes()
        self.parts.append(records)
        for episode in np.unique(records.episode):
            t, of = self.trackers, records.episode == episode
            n = int(np.flatnonzero((before == episode) & (t.held == 0))[0])
            ratio = float(sharpe_of_moments(t.reward_n[n], t.reward_sum[n], t.reward_sumsq[n]))
            fields = (getattr(records, name)[of] for name in Ended._fields[:-1])
            ended = Ended(*[*fields, ordered[n, records.slot[of]]])
            drawdown = watch.close_episode(
                t, self.tallies, self.trips, self.places, n, ended, int(episode),
                int(records.end_ns[of].max()), self.env.config.capital_e6,
            )  # fmt: skip
            if self.log is not None:
                self.log.end(n, ended, int(episode))
            self.paths.append((int(episode), int(drawdown), ratio))
            t.held[n] = self.env.envs["active"][n] == 0

    def result(self, wall_s: float) -> Rollout:
        """Rollout of everything seen, once all episodes are done."""
        if not self.parts:
            raise ContractError(f"{self.name}: no episode finished; the schedule is empty")
        episode, drawdown, ratio = (np.array(column) for column in zip(*self.paths, strict=True))
        self._move_trips(all_of_them=True)
        none = (np.zeros(0, FILL_DTYPE), np.zeros(0, ORDER_DTYPE))
        fills, orders = none if self.log is None else self.log.result()
        places, grid = self.places, np.arange(1, self.config.grid_points + 1)
        capital = self.env.config.capital_e6 * episode.size
        return Rollout(
            records=join_records(self.parts),
            episode=episode,
            drawdown_e6=drawdown,
            step_sharpe=ratio,
            curve_ns=places.grid_start_ns + grid * places.grid_step_ns,
            curve_return=np.cumsum(self.tallies.curve_e6) / capital,
            tallies=self.tallies,
            feature_names=self.feature_names,
            events=self.events,
            mean_entropy=float(np.mean(self.entropies)) if self.entropies else None,
            idle_slots=self.idle,
            rule_slots=self.filtered.filter.by_reason() if self.filtered else {},
            decisions=self.decisions,
            capital_e6=self.env.config.capital_e6,
            old_book_ms=self.config.old_book_ms,
            trips=np.concatenate([self.trips.trips[:0], *self.ended_trips]),
            fills=fills,
            orders=orders,
            wall_s=wall_s,
        )


def _accounts(env: ReplayVectorEnv) -> Accounts:
    of_slots = Accounts._fields[1:-2]
    slots = (np.asarray(env.slots[name]) for name in of_slots)
    return Accounts(*[env.equity_e6, *slots, env.now_ns, env.episode])


def _ordered(env: ReplayVectorEnv) -> np.ndarray:
    """Action (N, S) i1 of the order of each slot that is in flight, else in the book; HOLD where none is."""
    slots = env.slots
    resting = np.where(slots["order_state"] != IDLE, slots["order_action"], HOLD)
    is_sent = (slots["sent_action"] != HOLD) & (slots["sent_action"] != CANCEL)
    return np.where(is_sent, slots["sent_action"], resting).astype(np.int8)


def _places(env: ReplayVectorEnv, market_event: np.ndarray, config: RolloutConfig) -> watch.Places:
    rows, segments = env.arrays.rows, env.arrays.segments
    closes = closes_ns_of(env.bank.markets)
    start, stop = int(segments["first_ns"].min()), int(segments["last_ns"].max())
    return watch.Places(
        segment_start=segments["start"].copy(),  # else kernels compile again where there is one segment
        segment_market=segments["market"].copy(),
        market_event=market_event,
        market_close_ns=np.array([watch.NO_CLOSE if c is None else c for c in closes], np.int64),
        recv_ns=np.asarray(rows["recv_ns"]),
        bid_e4=np.asarray(rows["bid_px_e4"][:, 0]),
        ask_e4=np.asarray(rows["ask_px_e4"][:, 0]),
        row_state=np.asarray(rows["state"]),
        old_after_ns=config.old_book_ms * NS_PER_MS,
        grid_start_ns=start,
        grid_step_ns=max(1, -(-(stop - start) // config.grid_points)),
        position_limit_e2=env.config.position_limit_e2,
    )
