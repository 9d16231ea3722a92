"""Lines of a plain terminal: each says why no order goes out."""

from made.session_snapshot import REFUSED, calm_snapshot, made_snapshot, untraded_market

from kalshi_platform.trading.session.watching.plain_lines import PlainLines


def test_a_calm_session_is_one_line_of_money():
    assert PlainLines().of(calm_snapshot(5, refused={})) == [
        "70 s: P&L +0.24 $, equity 1000.24 $, fees 0.07 $; 640 decisions, 3 orders, 1 fills, "
        "1 positions in 3 markets; 5120 frames, decision p99 2.50 ms"
    ]


def test_positions_that_are_not_traded_here_are_counted_apart():
    shown = calm_snapshot(markets=(*calm_snapshot().markets, untraded_market()))
    (line,) = PlainLines().of(calm_snapshot(5, refused={}, markets=shown.markets))
    assert "1 positions in 3 markets and 1 in markets not traded here; 5120 frames" in line


def test_state_standstill_problems_and_alarms_follow():
    shown = made_snapshot(state="halted", state_why="day loss", standstill=("no connection",), refused={})
    assert PlainLines().of(shown)[1:] == [
        "  trading is HALTED: day loss",
        "  no order goes out: no connection",
        "  the model: it took 900 ms: HOLD",
        "  alarm disk: 2.1 GB are left",
    ]


def test_a_reason_of_active_trading_is_told_once():
    lines, gone = PlainLines(), "started; the account's journal before, /a/journal.sqlite, is gone"
    assert lines.of(calm_snapshot(5, refused={}, state_why=gone))[1:] == [f"  trading is ACTIVE: {gone}"]
    assert lines.of(calm_snapshot(5, refused={}, state_why=gone))[1:] == []
    assert lines.of(calm_snapshot(5, refused={}, state_why="seen"))[1:] == ["  trading is ACTIVE: seen"]


def test_orders_that_did_not_go_out_are_told_once_with_their_words():
    lines = PlainLines()
    at_exchange = {"exchange": {"n": 2, "words": "insufficient balance", "at_ns": 0}}
    assert lines.of(calm_snapshot(refused=REFUSED | at_exchange))[1:] == [
        "  not sent: 3 orders since the last line, the newest by spread_usd: would be 600, at most 500",
        "  the exchange refused 2 orders since the last line, the newest by insufficient balance",
    ]
    assert lines.of(calm_snapshot(refused=REFUSED | at_exchange))[1:] == []
    more = {"spread_usd": {**REFUSED["spread_usd"], "n": 4}}
    assert lines.of(calm_snapshot(refused=more))[1:] == [
        "  not sent: 1 orders since the last line, the newest by spread_usd: would be 600, at most 500"
    ]


def test_a_model_that_decides_nothing_is_told():
    lines = PlainLines()
    counters = {"policy_failures": 3, "decided_by_none": 5, "decisions_put_off": 7}
    told = lines.of(calm_snapshot(refused={}, counters=counters))[1:]
    assert [line.split()[0] for line in told] == ["3", "5", "7"]
    assert "by no tier of the model" in told[1]
    assert lines.of(calm_snapshot(refused={}, counters=counters))[1:] == []


def test_no_line_is_longer_than_a_message():
    shown = made_snapshot(standstill=("x" * 5_000,))
    assert max(map(len, PlainLines().of(shown))) <= 500
