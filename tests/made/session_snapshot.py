"""A snapshot of a session by hand, to be drawn, watched and measured: one for all tests."""

from dataclasses import replace
from typing import Any

from kalshi_platform.trading.session.snapshot import MarketStand, SessionSnapshot

NOW_NS = 1_796_040_000_000_000_000  # 2026-11-30 12:00:00 UTC
SECOND_NS = 1_000_000_000
#: State of limits of which nothing is unknown and nothing is full.
CALM_RISK = {
    "mode": "active", "why": "started", "undecided": [], "is_reconciled": True, "reconciled_why": "",
    "cash_doubts": [], "day_loss_e6": 12_000_000, "drawdown_e6": 0,
    "used": [
        {"limit": "day_loss_usd", "value": 12_000_000, "most": 50_000_000, "unit": "1e-6 dollar"},
        {"limit": "day_contracts", "value": 90_000, "most": 100_000, "unit": "1e-2 contract"},
        {"limit": "losing_streak", "value": 4, "most": 5, "unit": "markets"},
    ],
    "counts": {},
}  # fmt: skip
#: The same with an order of unknown outcome and a limit that is full.
FULL_RISK = {
    **CALM_RISK, "undecided": ["kp-17"],
    "used": [*CALM_RISK["used"][:2], {**CALM_RISK["used"][2], "value": 5}],
}  # fmt: skip
REFUSED = {"spread_usd": {"n": 3, "words": "spread_usd: would be 600, at most 500", "at_ns": NOW_NS}}


def made_market(number: int = 0, **changes: Any) -> MarketStand:
    """A market with a position of 10 YES, bought at 0.41, and a working order."""
    market = MarketStand(
        ticker=f"KXHIGHNY-26NOV30-T{50 + number}", event="KXHIGHNY-26NOV30", group=0, slot=number,
        bid_e4=4_300, ask_e4=4_525, is_valid=True, row_ns=NOW_NS - SECOND_NS // 4,
        position_e2=1_000, cost_e6=4_100_000, value_e6=4_412_500, cash_flow_e6=-4_170_000, fees_e6=70_000,
        order="BUY_YES 10.00 @ 0.4300", order_name="0/0/1", queue_e2=12_300,
        bids=((4_300, 20_000), (4_200, None)), asks=((4_525, 1_250),),
    )  # fmt: skip
    return replace(market, **changes)


def idle_market(number: int, **changes: Any) -> MarketStand:
    """A market without position and order."""
    idle: dict[str, Any] = {
        "position_e2": 0, "cost_e6": 0, "value_e6": 0, "cash_flow_e6": 0, "fees_e6": 0, "order": "",
        "order_name": "", "queue_e2": None,
    }  # fmt: skip
    return made_market(number, **(idle | changes))


def untraded_market(
    ticker: str = "KXCPI-26DEC-T3", event: str = "KXCPI-26DEC", **changes: Any
) -> MarketStand:
    """A position of the account in a market that the session does not trade."""
    elsewhere: dict[str, Any] = {
        "ticker": ticker, "event": event, "group": -1, "slot": -1, "bid_e4": None, "ask_e4": None,
        "is_valid": False, "row_ns": 0, "order": "", "order_name": "", "queue_e2": None,
        "bids": (), "asks": (), "is_traded": False,
    }  # fmt: skip
    return made_market(**(elsewhere | changes))


def made_snapshot(n_markets: int = 3, **changes: Any) -> SessionSnapshot:
    """A session in mode simulated, 65 s old, with every panel filled."""
    markets = [made_market(), *(idle_market(number) for number in range(1, n_markets))]
    fill = {
        "at_ns": NOW_NS - 5 * SECOND_NS, "ticker": markets[0].ticker, "event": markets[0].event, "order": "7",
        "kind": "maker", "action": "BUY_YES", "qty_e2": 1_000, "yes_price_e4": 4_100.0, "cash_e6": -4_170_000,
        "fee_e6": 70_000, "position_e2": 1_000,
    }  # fmt: skip
    snapshot = SessionSnapshot(
        mode="simulated", is_simulated=True, first_line="SIMULATED EXCHANGE, mode simulated", run="run-1",
        started_ns=NOW_NS - 65 * SECOND_NS, now_ns=NOW_NS, model="tiny-2f9c", alias="challenger",
        cautions=("judged on simulated data alone",), cash_e6=995_830_000, equity_e6=1_000_242_500,
        capital_e6=1_000_000_000, paid_in_e6=0, fees_e6=70_000, pnl_e6=242_500, orders=3, fills=1,
        decisions=640, frames=5_120, groups=1, markets=tuple(markets), last_fills=(fill,),
        latency={
            "stages": {
                "queue": {"n": 9, "p50_ms": 0.0514, "p99_ms": 0.612, "most_ms": 3.25},
                "features": {"n": 9, "p50_ms": 0.21, "p99_ms": 0.9, "most_ms": 12.5},
                "decision": {"n": 9, "p50_ms": 0.8, "p99_ms": 2.5, "most_ms": 140.0},
                "order": {"n": 0},
            },
            "ticks": 650, "ticks_late": 1, "kept": 0.998462,
        },
        health={
            "connections": 1, "backlog": 0, "frame_ns": NOW_NS - SECOND_NS // 2, "holes": 0,
            "age_p99_ms": 41.5, "alarms": [{"name": "disk", "text": "2.1 GB are left"}],
            "frames_recorded": 5_120, "frames_acknowledged": 5_118,
        },
        problems={"the model": "it took 900 ms: HOLD"}, counters={"decisions": 640, "policy_failures": 0},
        state="active", state_why="started", risk=FULL_RISK,
        log=("11:59:00 connected", "11:59:55 filled BUY_YES 10 @ 0.41"),
        standstill=(), refused=REFUSED, other_orders={},
    )  # fmt: skip
    return replace(snapshot, **changes)


def calm_snapshot(after_s: float = 0.0, **changes: Any) -> SessionSnapshot:
    """The same session ``after_s`` later, without problems, alarms or an unknown outcome."""
    now_ns = NOW_NS + round(after_s * SECOND_NS)
    health = {**made_snapshot().health, "alarms": [], "frame_ns": now_ns - SECOND_NS // 2}
    calm: dict[str, Any] = {"now_ns": now_ns, "problems": {}, "risk": CALM_RISK, "health": health}
    return made_snapshot(**(calm | changes))
