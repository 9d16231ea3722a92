"""Reasons why no order goes out, though nobody halted trading: screen, page and plain lines show the same."""

from collections.abc import Iterator, Mapping
from typing import Any

from kalshi_platform.domain.trading_hours import PAUSE_NS, pause_start_ns
from kalshi_platform.domain.units import moment_words
from kalshi_platform.simulation.replay.state import LIVE
from kalshi_platform.trading.session.running import RunningSession


def standstill(session: RunningSession, risk: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Reasons that hold now, besides the state of trading; ``risk`` as ``SessionAccount.risk`` gives it."""
    return (*_of_hours(session), *_of_feed(session), *_of_account(risk or {}))


def _of_hours(session: RunningSession) -> Iterator[str]:
    """The weekly pause, which every session keeps: at a simulated exchange too, as its model was trained."""
    now_ns = session.recorder.clock.wall_ns()
    start_ns = int(pause_start_ns(now_ns))
    if now_ns >= start_ns:
        yield (
            "the exchange's weekly pause, Thursday 03:00 to 05:00 in New York, lasts until "
            f"{moment_words(start_ns + PAUSE_NS)}; a session keeps it at a simulated exchange too"
        )


def _of_feed(session: RunningSession) -> Iterator[str]:
    """Reasons in what comes from the exchange."""
    sink, frames = session.recorder.sink, session.core.counters["frames"]
    if not sink.connected:
        why = f": {sink.why_unreachable}" if sink.why_unreachable else ""
        yield f"no connection to the exchange's stream stands{why}"
    elif not session.core.books.known_tickers:
        yield (
            "no market is followed: none of the wanted series, events or categories is open, or its facts "
            f"and first frames have not come yet ({frames} frames so far)"
        )
    elif not any((group.slots["state"] == LIVE).any() for group in session.core.books.groups):
        n = len(session.core.books.known_tickers)
        yield f"none of the {n} followed markets has a whole book: closed, paused, or lost until the next one"
    if session.backlog > session.config.most_backlog:
        yield f"{session.backlog} frames wait: a decision now would be made on old books"


def _of_account(risk: Mapping[str, Any]) -> Iterator[str]:
    """Reasons in what is known of the account; none on paper."""
    unknown = risk.get("undecided", ())
    if unknown:
        yield (
            f"the outcome of {len(unknown)} orders is unknown, first {unknown[0]}: they count as filled "
            "until the exchange's lists tell it"
        )
    if not risk.get("is_reconciled", True):
        yield f"the account is not compared with the exchange: {risk['reconciled_why']}"
