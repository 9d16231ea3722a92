"""Fees of a live market: from its client, from frames about its event, from the default of its series."""

from collections import Counter

import pytest

from kalshi_platform.data.market_data.capture import Frame
from kalshi_platform.data.market_data.facts import EventFeeTold
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.fee_schedule import terms_at
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.serving.live.books import LiveBooks
from kalshi_platform.serving.live.live_fees import LiveFees
from kalshi_platform.simulation.replay.trading import TradingConfig

NOW_NS = 1_795_400_000_000_000_000
MAKER = "quadratic_with_maker_fees"


def update(multiplier: float = 0.5) -> dict[str, object]:
    msg = {"event_ticker": "KXA-1", "fee_type_override": MAKER, "fee_multiplier_override": multiplier}
    return {"type": "event_fee_update", "sid": 3, "seq": 1, "msg": msg}


def snapshot(ticker: str) -> dict[str, object]:
    msg = {
        "market_ticker": ticker,
        "yes_dollars_fp": [["0.4000", "5.00"]],
        "no_dollars_fp": [["0.5500", "5.00"]],
    }
    return {"type": "orderbook_snapshot", "sid": 1, "seq": 1, "msg": msg}


def at(fees: LiveFees, spec: MarketSpec, at_ns: int) -> tuple[str, int]:
    terms = terms_at(fees.of(spec), at_ns)
    return terms.fee_type, terms.fee_multiplier_e6


def test_what_a_client_leaves_unsaid_is_the_default_of_the_series() -> None:
    fees = LiveFees()
    assert at(fees, MarketSpec(ticker="KXCPI-1-A", event="KXCPI-1"), NOW_NS) == (MAKER, 1_000_000)
    said = MarketSpec(ticker="KXCPI-1-A", event="KXCPI-1", fee_type="quadratic", fee_multiplier_e6=0)
    assert at(fees, said, NOW_NS) == ("quadratic", 0)


def test_a_frame_holds_for_the_markets_of_its_event_until_it_is_cleared() -> None:
    fees, counters = LiveFees(), Counter[str]()
    one, other = (MarketSpec(ticker=f"KXA-{k}-A", event=f"KXA-{k}") for k in (1, 2))
    fees.hear("KXA-1", EventFeeTold(NOW_NS, MAKER, 500_000), counters)
    assert at(fees, one, NOW_NS - 1) == at(fees, other, NOW_NS) == ("quadratic", 1_000_000)
    assert at(fees, one, NOW_NS) == (MAKER, 500_000)
    fees.hear("KXA-1", EventFeeTold(NOW_NS + 5, None, None), counters)
    assert at(fees, one, NOW_NS + 5) == ("quadratic", 1_000_000)


def test_a_session_trades_under_the_fees_that_its_frames_tell() -> None:
    books = LiveBooks(TradingConfig(n_slots=2), 4)
    for number, message in enumerate([snapshot("KXA-1-A"), snapshot("KXA-2-A") | {"sid": 2}, update()]):
        books.feed(Frame(number, NOW_NS + number, 1, b""), message)
    rates = [books.groups[0]._terms[s][["taker_rate_e6", "maker_rate_e6"]].item() for s in range(2)]
    assert rates == [(35_000, 8_750), (70_000, 0)]
    with pytest.raises(DataError, match="fee multiplier -1"):
        books.feed(Frame(9, NOW_NS + 9, 1, b""), update(multiplier=-1) | {"seq": 2})
