"""Records of finished episodes: one entry for each slot that held a market."""

from typing import NamedTuple

import numpy as np

from kalshi_platform.domain.actions import N_ACTIONS


class EpisodeRecords(NamedTuple):
    """M entries; money 1e-6 dollar, sizes 1e-2 contract, times ns of the market's own clock."""

    episode: np.ndarray  # (M,) i8: number of the episode in the order it was handed out
    slot: np.ndarray  # (M,) i4
    market: np.ndarray  # (M,) i4: index into Bank.markets
    start_ns: np.ndarray  # (M,) i8
    end_ns: np.ndarray  # (M,) i8
    n_steps: np.ndarray  # (M,) i4: steps of the whole environment
    pnl_e6: np.ndarray  # (M,) i8: after fees; an open position counts at what closing it would bring
    fees_e6: np.ndarray  # (M,) i8
    traded_e2: np.ndarray  # (M,) i8
    turnover_e6: np.ndarray  # (M,) i8: sum of price x size
    n_orders: np.ndarray  # (M,) i4
    n_fills: np.ndarray  # (M,) i4
    n_reached_fills: np.ndarray  # (M,) i4: those of resting orders that the opposite best reached
    n_queued: np.ndarray  # (M,) i4: resting orders that filled and whose queue was known
    ahead_e2: np.ndarray  # (M,) i8: sum over them of the size ahead when they came to rest
    passed_ahead_e2: np.ndarray  # (M,) i8: sum of what of it traded before their first fill
    max_position_e2: np.ndarray  # (M,) i8
    action_counts: np.ndarray  # (M, A) i4: how often each action was chosen
    masked_counts: np.ndarray  # (M, A) i4: how often each was unavailable
    settled: np.ndarray  # (M,) u1
    episode_return: np.ndarray  # (M,) f8: sum of rewards of the whole environment


def allocate_records(capacity: int) -> EpisodeRecords:
    """Zeroed columns for ``capacity`` entries."""
    kinds = {
        "slot": "i4", "market": "i4", "n_steps": "i4", "n_orders": "i4", "n_fills": "i4", "settled": "u1",
        "n_reached_fills": "i4", "n_queued": "i4", "action_counts": "i4", "masked_counts": "i4",
        "episode_return": "f8",
    }  # fmt: skip
    wide = ("action_counts", "masked_counts")
    return EpisodeRecords(
        **{
            name: np.zeros((capacity, N_ACTIONS) if name in wide else capacity, kinds.get(name, "i8"))
            for name in EpisodeRecords._fields
        }
    )


def join_records(parts: list[EpisodeRecords]) -> EpisodeRecords:
    """Entries of all parts, in order."""
    if not parts:
        return allocate_records(0)
    return EpisodeRecords(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
