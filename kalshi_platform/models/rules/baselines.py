"""Baselines: policies without learning, which a trained policy must beat.

Vectorised, masked, no state a step.

do_nothing           HOLD
random               acts at the trade rate given (the policy's own), on any available action alike
hold_to_settlement   buys the favourite (the outcome whose price is above 0.5) once, then keeps it
join_the_bid         rests a YES bid when flat and, once long, a YES ask until flat again; order style maker
imbalance            buys the side the resting size leans to, leaves when it leans back

A baseline reads the position from the portfolio, prices from the bank's public book at ``rows``, and features
by name.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from kalshi_platform.domain.actions import BUY_NO, BUY_YES, HOLD, SELL_NO, SELL_YES
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.simulation.replay.bank import Bank
from kalshi_platform.simulation.replay.layout import Layout
from kalshi_platform.simulation.replay.observation import portfolio_column
from kalshi_platform.simulation.replay.trading import OrderStyle
from kalshi_platform.simulation.rollout.policy import Policy

_HALF_X2_E4: Final = 10_000


def where_available(mask: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Actions ``wanted`` (N, S) as int8, HOLD where ``mask`` (N, S, A) forbids them."""
    allowed = np.take_along_axis(mask, wanted[..., None].astype(np.int64), axis=2)[..., 0] > 0
    return np.where(allowed, wanted, HOLD).astype(np.int8)


def favourite_is_yes(bank: Bank, rows: np.ndarray) -> np.ndarray:
    """Mask (N, S): the book at ``rows`` prices YES above 0.5; where one side is empty the other decides."""
    row = bank.arrays.rows[np.maximum(rows, 0)]
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
    """A trader that buys the favourite while flat and keeps what it has."""

    layout: Layout
    bank: Bank

    def act(self, flat: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Actions (N, S) int8: a buy while the slot is flat and no order works, else HOLD."""
        position = portfolio_column("position", self.layout, flat)
        resting = portfolio_column("resting_side", self.layout, flat)
        buy = np.where(favourite_is_yes(self.bank, rows), BUY_YES, BUY_NO)
        idle = (position == 0) & (resting == 0) & (rows >= 0)
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


class ImbalanceRule:
    """A trader that follows the resting size: enters its side beyond ``threshold``, leaves at zero."""

    def __init__(self, layout: Layout, bank: Bank, feature: str, threshold: float = 0.5) -> None:
        if feature not in bank.feature_names:
            raise ContractError(f"no market feature {feature!r}; known: {', '.join(bank.feature_names)}")
        self.layout, self.threshold = layout, threshold
        self._column = bank.feature_names.index(feature)

    def act(self, flat: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Actions (N, S) int8: buy the heavier side, sell when the imbalance turns, else HOLD."""
        lean = self.layout.split(flat).market[:, :, self._column]
        position = portfolio_column("position", self.layout, flat)
        enter = np.where(lean > self.threshold, BUY_YES, np.where(lean < -self.threshold, BUY_NO, HOLD))
        leave = np.where(position > 0, SELL_YES, SELL_NO)
        against = position * lean < 0
        wanted = np.where(position == 0, enter, np.where(against, leave, HOLD))
        return where_available(self.layout.action_mask(flat), np.where(rows >= 0, wanted, HOLD))


@dataclass(frozen=True)
class Baseline:
    """Recipe of a baseline: its name, and the order style it needs (None = the policy's own)."""

    name: str
    order_style: OrderStyle | None
    is_random: bool
    meaning: str


BASELINES: Final = (
    Baseline("do_nothing", None, False, "never trades"),
    Baseline("random", None, True, "trades as often as the policy, without information"),
    Baseline("hold_to_settlement", None, False, "buys the favourite once and keeps it"),
    Baseline("join_the_bid", "maker", False, "rests at the best bid, offers what it got"),
)


def build_baseline(name: str, layout: Layout, bank: Bank, trade_rate: float, seed: int) -> Policy:
    """Baseline called ``name``; ContractError for an unknown name."""
    match name:
        case "do_nothing":
            return DoNothing(layout)
        case "random":
            return RandomTrader(layout, trade_rate, seed)
        case "hold_to_settlement":
            return HoldToSettlement(layout, bank)
        case "join_the_bid":
            return JoinTheBid(layout)
    raise ContractError(f"no baseline {name!r}; known: {', '.join(b.name for b in BASELINES)}")
