"""List of markets."""

from made.session_snapshot import made_market, made_snapshot, untraded_market
from made.session_view import drawn, on_screen
from rich.cells import cell_len

from kalshi_platform.trading.session.screen.market_list import MarketList, headings, market_line


def test_a_line_is_as_wide_as_its_heading_whatever_it_shows():
    odd = [
        {}, {"ticker": "[red]x[/]" * 30}, {"ticker": "気温" * 30}, {"ticker": "\x1b[2J\n"},
        {"value_e6": None, "bid_e4": None, "ask_e4": None}, {"cost_e6": 10**15, "cash_flow_e6": -(10**15)},
        {"is_valid": False, "order": "BUY_YES 10.00 @ 0.4300, cancel on its way"},
    ]  # fmt: skip
    for width in (76, 79, 112, 159):
        assert cell_len(headings(width)) == width
        for changes in odd:
            assert cell_len(market_line(made_market(**changes), width)) == width


def test_a_line_shows_book_position_result_and_order():
    assert market_line(made_market(), 79).split() == [
        made_market().ticker, "0.43", "0.4525", "10", "4.41", "+0.24", "BUY_YES", "10", "@", "0.43",
    ]  # fmt: skip
    assert market_line(made_market(), 130).split()[-1] == "123"
    assert market_line(made_market(is_valid=False), 79).split()[1:3] == ["unknown", "unknown"]
    assert market_line(made_market(bid_e4=None), 79).split()[1:3] == ["none", "0.4525"]
    assert market_line(made_market(value_e6=None), 79).split()[4:6] == ["unknown", "unknown"]


def test_a_position_in_a_market_that_is_not_traded_says_so():
    assert market_line(untraded_market(), 79).split() == [
        "KXCPI-26DEC-T3", "unknown", "unknown", "10", "4.41", "+0.24", "not", "traded", "here",
    ]  # fmt: skip


def test_tickers_that_differ_in_one_digit_of_their_event_do_not_look_alike_at_80_columns():
    tickers = ("WORLDBKT-00000-B64.47", "WORLDBKT-00001-B64.47")
    shown = [market_line(made_market(ticker=ticker), 79).split()[0] for ticker in tickers]
    assert shown == ["WORLDBKT-0…00-B64.47", "WORLDBKT-0…01-B64.47"]


def test_markets_with_a_position_or_an_order_come_first_and_the_selection_stays_with_its_market():
    async def work(app, pilot):
        markets = app.query_one(MarketList)
        await pilot.press("down", "down")
        assert markets.ticker.endswith("T52")
        moved = [made_market(n, position_e2=0, order="", order_name="") for n in range(3)]
        app.take(made_snapshot(markets=(*moved, made_market(9))))
        assert [m.ticker[-3:] for m in markets.markets] == ["T59", "T50", "T51", "T52"]
        assert markets.ticker.endswith("T52")
        assert markets.at == 3
        app.take(made_snapshot(markets=(moved[0],)))  # the selected one is gone
        assert markets.ticker.endswith("T50")
        app.take(made_snapshot(markets=()))
        assert markets.selected is None
        await pilot.press("down", "end", "pagedown")

    on_screen(work)


def test_five_hundred_markets_can_be_paged_through_and_clicked():
    async def work(app, pilot):
        markets = app.query_one(MarketList)
        await pilot.press("end")
        await pilot.pause()
        assert markets.at == 499
        assert any(markets.ticker[-4:] in line for line in drawn(app))
        await pilot.press("pageup", "up")
        assert markets.at < 498
        await pilot.press("home")
        await pilot.click(MarketList, offset=(2, 3))
        assert markets.at == 2

    on_screen(work, made_snapshot(500))
