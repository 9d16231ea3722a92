"""Why no order goes out, though nobody halted trading."""

import re
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from made.session_snapshot import CALM_RISK, FULL_RISK

from kalshi_platform.domain.units import parse_rfc3339
from kalshi_platform.simulation.replay.state import EMPTY, LIVE
from kalshi_platform.trading.session.watching.standstill import standstill

TUESDAY, THURSDAY = "2026-12-01T08:30:00Z", "2026-12-03T08:30:00Z"  # in New York 03:30


def scene(*, connected=(1,), why=None, markets=("KXA-1",), backlog=0, states=(EMPTY, LIVE), at=TUESDAY):
    """Session of which nothing but these is asked; ``states``: of the slots of its one group."""
    books = SimpleNamespace(
        known_tickers=markets, groups=[SimpleNamespace(slots={"state": np.array([states])})]
    )
    return SimpleNamespace(
        recorder=SimpleNamespace(
            sink=SimpleNamespace(connected=connected, why_unreachable=why),
            clock=SimpleNamespace(wall_ns=lambda: parse_rfc3339(at)),
        ),
        core=SimpleNamespace(counters=Counter(frames=7), books=books),
        backlog=backlog, config=SimpleNamespace(most_backlog=256),
    )  # fmt: skip


def test_nothing_is_said_where_orders_may_go_out():
    assert standstill(scene(), CALM_RISK) == ()
    assert standstill(scene(), None) == ()  # paper


@pytest.mark.parametrize(
    ("session", "risk", "words"),
    [
        (scene(connected=(), why="401: key refused"), None, "no connection.*: 401: key refused"),
        (scene(markets=()), None, r"no market is followed.*\(7 frames so far\)"),
        (scene(states=(EMPTY, EMPTY)), None, "none of the 1 followed markets has a whole book: closed"),
        (scene(backlog=300), None, "300 frames wait"),
        (scene(at=THURSDAY), None, "the exchange's weekly pause.*until 2026-12-03 10:00:00 UTC"),
        (scene(), FULL_RISK, "the outcome of 1 orders is unknown, first kp-17"),
        (
            scene(), CALM_RISK | {"is_reconciled": False, "reconciled_why": "the stream is away"},
            "not compared with the exchange: the stream is away",
        ),
    ],
)  # fmt: skip
def test_each_reason_is_said(session, risk, words):
    (said,) = standstill(session, risk)
    assert re.search(words, said)


def test_reasons_stand_together():
    assert len(standstill(scene(connected=(), backlog=300), FULL_RISK)) == 3
