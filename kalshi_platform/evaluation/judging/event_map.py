"""Where each event earned: return by event and by the time to close at which a round trip began.

Units      returns are fractions of the capital of all plays of the event's markets, money 1e-6 dollar.
Invariant  all rows with the rest add up to the total P&L; an event's cells add up to its mean return where
           its markets are played equally often.
"""

from typing import Final

import numpy as np

from kalshi_platform.domain.config import Config
from kalshi_platform.evaluation.judging import watch
from kalshi_platform.evaluation.judging.rollout import number_events
from kalshi_platform.evaluation.judging.sample import Sample

#: Events with a row of their own; the others are added up.
MOST_EVENTS: Final = 30


class EventRow(Config):
    """One event, or all that have no row of their own: its cells follow ``EventMap.columns``."""

    event: str
    n_plays: int  # of its markets: whole lives or windows, once a seed (sample.py)
    pnl_e6: tuple[int, ...]
    returns: tuple[float, ...]
    trips: tuple[int, ...]


class EventMap(Config):
    """Rows of the events that gained or lost most, worst first, and the sum of those left out."""

    columns: tuple[str, ...]
    rows: tuple[EventRow, ...]
    n_left_out: int
    rest: EventRow | None  # the events left out, together; None where every event has a row


def map_events(sample: Sample, most: int = MOST_EVENTS) -> EventMap:
    """Map of the events that ``sample`` played; at most ``most`` have a row of their own."""
    market_event = number_events(sample.bank)[1]
    pnl = np.sum([r.tallies.close_pnl_e6 for r in sample.rollouts], axis=0)
    trips = np.sum([r.tallies.close_trips for r in sample.rollouts], axis=0)
    plays = np.bincount(market_event[sample.plays()[0]], minlength=len(sample.events))
    played = np.flatnonzero(plays)
    total = pnl.sum(axis=1)
    by_size = played[np.argsort(-np.abs(total[played]), kind="stable")]
    shown = by_size[:most][np.argsort(total[by_size[:most]], kind="stable")]
    left_out = by_size[most:]

    def row(name: str, of: np.ndarray) -> EventRow:
        cells = pnl[of].sum(axis=0)
        n_plays = int(plays[of].sum())
        return EventRow(
            event=name,
            n_plays=n_plays,
            pnl_e6=tuple(cells.tolist()),
            returns=tuple((cells / (n_plays * sample.config.capital_e6)).tolist()),
            trips=tuple(trips[of].sum(axis=0).tolist()),
        )

    return EventMap(
        columns=watch.CLOSE_LABELS,
        rows=tuple(row(sample.events[e], np.array([e])) for e in shown.tolist()),
        n_left_out=int(left_out.size),
        rest=row(f"{left_out.size} other events", left_out) if left_out.size else None,
    )
