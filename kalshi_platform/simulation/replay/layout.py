"""The layout of the flat observation: the only code that computes an offset in it.

Layout     flat (width,) = market (S x F) | portfolio (S x P) | slot mask (S) | action mask (S x N_ACTIONS)
Kernels    take a :class:`Layout` as it is, or make one of sizes they know. Handing one over costs a call
           from Python a microsecond: where a call takes few of them, it hands over the offsets it needs.
Not        names of features: those of the market are the bank's, those of the portfolio observation.py's.
"""

from typing import Any, Final, Generic, NamedTuple, TypeVar

import numpy as np

from kalshi_platform.domain.actions import N_ACTIONS
from kalshi_platform.domain.compiled import kernel

#: A batch of observations as a numpy array or a torch tensor.
Flat = TypeVar("Flat")


class Blocks(NamedTuple, Generic[Flat]):
    """The four parts of N flat observations."""

    market: Flat  # (N, S, F)
    portfolio: Flat  # (N, S, P)
    slot_mask: Flat  # (N, S), 1 = a market stands there
    action_mask: Flat  # (N, S, N_ACTIONS), 1 = available


class Layout(NamedTuple):
    """Sizes of the flat observation, and the column each part of it begins in; the market's is 0."""

    n_slots: int  # S
    n_market: int  # F, features of the market in a slot
    n_portfolio: int  # P, features of the portfolio in a slot
    portfolio_at: int
    slot_mask_at: int
    action_mask_at: int
    width: int

    def split(self, flat: Flat) -> Blocks[Flat]:
        """Views of ``flat`` (N, width), an array or a tensor; columns after ``width`` are ignored."""
        whole: Any = flat
        n, s = whole.shape[0], self.n_slots
        return Blocks(
            market=whole[:, : self.portfolio_at].reshape(n, s, self.n_market),
            portfolio=whole[:, self.portfolio_at : self.slot_mask_at].reshape(n, s, self.n_portfolio),
            slot_mask=self.slot_mask(whole),
            action_mask=self.action_mask(whole),
        )

    def slot_mask(self, flat: Any) -> Any:
        """View (N, S) of ``flat`` (N, width): 1 where a slot holds a market."""
        return flat[:, self.slot_mask_at : self.action_mask_at]

    def action_mask(self, flat: Any) -> Any:
        """View (N, S, N_ACTIONS) of ``flat`` (N, width): 1 where the action can be taken."""
        block = flat[:, self.action_mask_at : self.width]
        return block.reshape(flat.shape[0], self.n_slots, N_ACTIONS)


def layout_of(n_slots: int, n_market: int, n_portfolio: int) -> Layout:
    """Layout of ``n_slots`` slots with so many features of market and portfolio each."""
    portfolio_at = n_slots * n_market
    slot_mask_at = portfolio_at + n_slots * n_portfolio
    action_mask_at = slot_mask_at + n_slots
    return Layout(
        n_slots=n_slots,
        n_market=n_market,
        n_portfolio=n_portfolio,
        portfolio_at=portfolio_at,
        slot_mask_at=slot_mask_at,
        action_mask_at=action_mask_at,
        width=action_mask_at + n_slots * N_ACTIONS,
    )


#: :func:`layout_of` for kernels.
layout_in_kernel: Final = kernel(layout_of)


def join(blocks: Blocks[np.ndarray]) -> np.ndarray:
    """Flat observations (N, width) of their four parts; the inverse of :meth:`Layout.split`."""
    return np.concatenate([block.reshape(len(block), -1) for block in blocks], axis=1)
