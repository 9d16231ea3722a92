"""Baselines: policies without learning, which a trained policy must beat.

Vectorised, masked, no state a step.

do_nothing           HOLD
random               acts at the trade rate given (the policy's own), on any available action alike
hold_to_settlement   buys the favourite (the outcome priced above 0.5) up to an exposure, then keeps it
join_the_bid         rests a YES bid when flat and, once long, a YES ask until flat again; order style maker
imbalance            buys the side that the resting size leans to, one order a decision up to the position
                     limit, and sells one order a decision once the lean is gone
spread_reversion     while the spread is wide, rests inside it against the last minute's move; leaves when the
                     spread is back at its average; order style maker

A baseline reads the position from the portfolio and the market from the bank's public book at ``rows``
(public_book.py), so it needs no feature set of the policy. Latency, fees and position limit are the policy's.
Thresholds are chosen on training events (evaluation/judging/rivals.py), never on those that judge.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from kalshi_platform.domain.actions import BUY_NO, BUY_YES, HOLD, SELL_NO, SELL_YES
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.models.rules.public_book import AT_AVERAGE, imbalances, spread_signals
from kalshi_platform.simulation.replay.bank import Bank
from kalshi_platform.simulation.replay.layout import Layout
from kalshi_platform.simulation.replay.observation import portfolio_column
from kalshi_platform.simulation.replay.pages import reading
from kalshi_platform.simulation.replay.trading import OrderStyle
from kalshi_platform.simulation.rollout.policy import Policy

_HALF_X2_E4: Final = 10_000
#: A position is a float32 share of its limit: this close to the exposure wanted it has reached it.
_REACHED: Final = 1e-6


def where_available(mask: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Actions ``wanted`` (N, S) as int8, HOLD where ``mask`` (N, S, A) forbids them."""
    allowed = np.take_along_axis(mask, wanted[..., None].astype(np.int64), axis=2)[..., 0] > 0
    return np.where(allowed, wanted, HOLD).astype(np.int8)


def favourite_is_yes(bank: Bank, rows: np.ndarray) -> np.ndarray:
    """Mask (N, S): the book at ``rows`` prices YES above 0.5; where one side is empty the other decides."""
    with reading(bank.arrays, rows) as arrays:
        row = arrays.rows[np.maximum(rows, 0)]
    bid, ask = row["bid_px_e4"][..., 0], row["ask_px_e4"][..., 0]
    twice = np.where(bid < 0, 2 * ask, np.where(ask < 0, 2 * bid, bid + ask))
    return np.asarray((twice > _HALF_X2_E4) & (rows >= 0))


@dataclass(frozen=True)
class DoNothing:
    """A trader that always holds: the floor every policy must beat after fees."""

    layout: Layout

    def act(self, flat: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Actions (N, S) int8, all HOLD."""
        return np.zeros(rows.shape, np.int8)


class RandomTrader:
    """A trader that trades as often as another policy, but without information.

    ``trade_rate``: share of the decisions with a choice at which it acts, 0..1.
    """

    def __init__(self, layout: Layout, trade_rate: float, seed: int) -> None:
        if not 0.0 <= trade_rate <= 1.0:
            raise ContractError(f"trade_rate={trade_rate} is outside 0..1")
        self.layout, self.trade_rate = layout, trade_rate
        self.rng = np.random.default_rng([seed, 0x72616E64])

    def act(self, flat: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Actions (N, S) int8: with probability ``trade_rate`` one of the available trades, else HOLD."""
        mask = self.layout.action_mask(flat)
        key = self.rng.random(mask.shape, np.float32) * (mask > 0)
        key[..., HOLD] = 0.0
        choice = key.argmax(axis=2)
        acts = self.rng.random(rows.shape, np.float32) < self.trade_rate
        return where_available(mask, np.where(acts, choice, HOLD))


@dataclass(frozen=True)
class HoldToSettlement:
    """A trader that buys the favourite until it holds ``exposure``, and keeps what it has.

    ``exposure``: share of the position limit, 0..1, rounded up to whole orders; at least one order.
    """

    layout: Layout
    bank: Bank
    exposure: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.exposure <= 1.0:
            raise ContractError(f"exposure={self.exposure} is outside 0..1, a share of the position limit")

    def act(self, flat: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Actions (N, S) int8: a buy while less is held than wanted and no order works, else HOLD."""
        position = portfolio_column("position", self.layout, flat)
        resting = portfolio_column("resting_side", self.layout, flat)
        favourite = np.where(favourite_is_yes(self.bank, rows), BUY_YES, BUY_NO)
        buy = np.where(position > 0, BUY_YES, np.where(position < 0, BUY_NO, favourite))
        wants = (position == 0) | (np.abs(position) < self.exposure - _REACHED)
        idle = wants & (resting == 0) & (rows >= 0)
        return where_available(self.layout.action_mask(flat), np.where(idle, buy, HOLD))


@dataclass(frozen=True)
class JoinTheBid:
    """A trader that tries to earn the spread: bids when flat, offers when long, leaves working orders alone.

    An order left behind by the book (further than ``requote_distance`` dollars from the best) is sent anew.
    """

    layout: Layout
    requote_distance: float = 0.0

    def act(self, flat: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Actions (N, S) int8: BUY_YES flat, SELL_YES long, HOLD while a fitting order rests at the best."""
        position = portfolio_column("position", self.layout, flat)
        resting = portfolio_column("resting_side", self.layout, flat)
        behind = portfolio_column("resting_distance", self.layout, flat) > self.requote_distance
        wanted = np.where(position > 0, SELL_YES, BUY_YES)
        side = np.where(position > 0, -1.0, 1.0)
        working = (resting == side) & ~behind
        send = ~working & (rows >= 0)
        return where_available(self.layout.action_mask(flat), np.where(send, wanted, HOLD))


@dataclass(frozen=True)
class ImbalanceRule:
    """A trader that follows the resting size: adds to its side beyond ``threshold``, leaves at zero.

    ``threshold``: imbalance of the five best levels a side, 0..1.
    """

    layout: Layout
    bank: Bank
    threshold: float

    def act(self, flat: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Actions (N, S) int8: buy the heavier side up to the limit, sell once the lean is gone."""
        lean = imbalances(self.bank, rows)
        position = portfolio_column("position", self.layout, flat)
        enter = np.where(lean > self.threshold, BUY_YES, np.where(lean < -self.threshold, BUY_NO, HOLD))
        leave = np.where(position > 0, SELL_YES, SELL_NO)
        gone = (position != 0) & (position * lean <= 0)
        wanted = np.where(gone, leave, enter)
        return where_available(self.layout.action_mask(flat), np.where(rows >= 0, wanted, HOLD))


class SpreadReversion:
    """A trader that rests inside a wide spread against the last minute's move.

    ``threshold``: enter where the spread is so many times its mean over 60 s. It leaves when the spread is at
    its mean again. A working order of the side wanted is left alone.
    """

    def __init__(self, layout: Layout, bank: Bank, threshold: float) -> None:
        self.layout, self.threshold = layout, threshold
        self._signals = spread_signals(bank)

    def act(self, flat: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Actions (N, S) int8: a buy of the outcome that fell, a sale at the average spread, else HOLD."""
        at = np.maximum(rows, 0)
        ratio, move = self._signals.ratio[at], self._signals.move[at]
        position = portfolio_column("position", self.layout, flat)
        resting = portfolio_column("resting_side", self.layout, flat)
        against = np.where(move > 0, BUY_NO, np.where(move < 0, BUY_YES, HOLD))
        enter = np.where(ratio > self.threshold / (1.0 + self.threshold), against, HOLD)
        leave = np.where(position > 0, SELL_YES, SELL_NO)
        wanted = np.where((position != 0) & (ratio <= AT_AVERAGE), leave, enter)
        bids = np.where((wanted == BUY_YES) | (wanted == SELL_NO), 1.0, -1.0)
        send = (rows >= 0) & (resting != bids)
        return where_available(self.layout.action_mask(flat), np.where(send, wanted, HOLD))


@dataclass(frozen=True)
class Baseline:
    """Recipe of a baseline: its name, and the order style it needs (None = the policy's own).

    ``grid``: thresholds among which training events choose; empty for a rule without one.
    """

    name: str
    order_style: OrderStyle | None
    is_random: bool
    meaning: str
    improve_ticks: int | None = None
    grid: tuple[float, ...] = ()


BASELINES: Final = (
    Baseline("do_nothing", None, False, "never trades"),
    Baseline("random", None, True, "trades as often as the policy, without information"),
    Baseline(
        "hold_to_settlement",
        None,
        False,
        "buys the favourite up to the policy's mean exposure, rounded up to whole orders, and keeps it",
    ),
    Baseline("join_the_bid", "maker", False, "rests at the best bid, offers what it got"),
    Baseline(
        "imbalance",
        "taker",
        False,
        "follows the side with more resting size, up to the position limit",
        grid=(0.2, 0.35, 0.5, 0.65, 0.8),
    ),
    Baseline(
        "spread_reversion",
        "maker",
        False,
        "rests inside a wide spread against the last minute's move",
        improve_ticks=1,
        grid=(1.5, 2.0, 2.5, 4.0),
    ),
)


def baseline_named(name: str) -> Baseline:
    """Recipe of the baseline called ``name``; ContractError for an unknown name."""
    for baseline in BASELINES:
        if baseline.name == name:
            return baseline
    raise ContractError(f"no baseline {name!r}; known: {', '.join(b.name for b in BASELINES)}")


def build_baseline(
    name: str,
    layout: Layout,
    bank: Bank,
    trade_rate: float,
    seed: int,
    *,
    exposure: float = 0.0,
    threshold: float | None = None,
) -> Policy:
    """Baseline called ``name``; ContractError for an unknown name, and for a rule without its threshold.

    ``trade_rate`` and ``seed`` are for random, ``exposure`` (share of the position limit) is for
    hold_to_settlement, ``threshold`` for imbalance and spread_reversion.
    """
    if baseline_named(name).grid and threshold is None:
        raise ContractError(f"{name} needs a threshold chosen on training events: give threshold=")
    match name:
        case "do_nothing":
            return DoNothing(layout)
        case "random":
            return RandomTrader(layout, trade_rate, seed)
        case "hold_to_settlement":
            return HoldToSettlement(layout, bank, exposure)
        case "join_the_bid":
            return JoinTheBid(layout)
        case "imbalance" if threshold is not None:
            return ImbalanceRule(layout, bank, threshold)
        case "spread_reversion" if threshold is not None:
            return SpreadReversion(layout, bank, threshold)
    raise ContractError(f"build_baseline has no case for {name!r}: add one")
