"""Each panel, from what is known to text."""

import dataclasses

import pytest
from made.session_snapshot import made_market, made_snapshot, untraded_market

from kalshi_platform.trading.session.screen.panels import PANELS, PanelView, pnl_e6, pressing

TEXTS = dict(PANELS)


def text(name, snapshot=None, width=78, **market):
    view = PanelView(snapshot or made_snapshot(), made_market(**market), [1_000_000, 2_000_000], width)
    return TEXTS[name](view).plain


def test_the_book_shows_every_level_and_says_what_it_does_not_know():
    assert text("book").split("\n") == [
        "KXHIGHNY-26NOV30-T50",
        "  bid size     bid   ask     ask size  ",
        "       200    0.43   0.4525  12.50     ",
        "   unknown    0.42                     ",
        "position 10, cost 4.10 $",
        "BUY_YES 10 @ 0.43, queue 123",
    ]
    assert "none" in text("book", bids=(), asks=())
    lost = text("book", is_valid=False)
    assert "book unknown" in lost
    assert "0.43  " not in lost
    assert "queue unknown" in text("book", queue_e2=None)
    assert TEXTS["book"](PanelView(made_snapshot(0), None, [], 40)).plain.startswith("no market yet")


def test_a_position_that_is_not_traded_names_its_event():
    def lines(**changes):
        view = PanelView(made_snapshot(), untraded_market(**changes), [], 78)
        return TEXTS["book"](view).plain.split("\n")

    assert lines()[1:3] == [
        "not traded here: a position of event KXCPI-26DEC, in a market without a slot",
        "position 10, cost 4.10 $",
    ]
    assert "nobody told: it counts in no event's or category's limit" in lines(event="")[1]


def test_orders_begin_with_those_whose_outcome_is_unknown():
    assert text("orders").split("\n")[:2] == [
        "OUTCOME UNKNOWN kp-17", "KXHIGHNY-26NOV30-T50   BUY_YES 10 @ 0.43, queue 123",
    ]  # fmt: skip
    assert text("orders", made_snapshot(risk=None, markets=())) == "no working order"
    others = made_snapshot(risk=None, markets=(), other_orders={"kp-3": "KXGONE-1"})
    assert text("orders", others).startswith(
        "KXGONE-1               on its way, or of a market that is followed"
    )
    assert text("orders", others).endswith("no more: kp-3\n")


def test_fills_and_payments():
    paid = {**made_snapshot().last_fills[0], "action": "", "kind": "settlement", "yes_price_e4": None}
    lines = text("fills", made_snapshot(last_fills=(*made_snapshot().last_fills, paid))).split("\n")
    assert lines[0] == "11:59:55 KXHIGHNY-26NOV30-T50   paid 10, -4.17 $, fee 0.07 $, settlement"
    assert lines[1] == "11:59:55 KXHIGHNY-26NOV30-T50   BUY_YES 10 @ 0.41 YES, -4.17 $, fee 0.07 $, maker"
    assert text("fills", made_snapshot(last_fills=())) == "no fill yet"


def test_money_ends_with_the_course_of_the_equity():
    lines = text("money").split("\n")
    assert lines[0] == "P&L           +0.24 $   fees 0.07 $"
    assert lines[-1] == "▁█"


def test_limits_are_bars_with_words_where_they_are_full():
    refused, *lines = text("limits").split("\n")
    assert refused == (
        "not sent or refused, spread_usd: 3 orders, newest 12:00:00: spread_usd: would be 600, at most 500"
    )
    assert lines[0] == "day_loss_usd      [###.........] 12.00 of 50.00 $"
    assert lines[1].startswith("day_contracts     [###########.] 900 of 1000")
    assert lines[2] == "losing_streak     [############] 5 of 5 markets FULL"
    assert text("limits", made_snapshot(risk=None)).startswith("no limits")
    doubt = {"used": [], "is_reconciled": False, "reconciled_why": "the stream is away"}
    shown = text("limits", made_snapshot(risk=doubt, refused={}))
    assert shown.strip() == "not compared with the exchange: the stream is away"
    hidden = {"used": [], "cash_doubts": ["free cash of shard 0 is 7; its orders should leave 6"]}
    shown = text("limits", made_snapshot(risk=hidden, refused={}))
    assert shown.strip() == "free cash of shard 0 is 7; its orders should leave 6"


def test_health_shows_unknown_where_nothing_was_measured():
    shown = text("health")
    assert "connections 1   backlog 0   holes 0" in shown
    assert "decision         0.80     2.50      140" in shown
    assert "order         unknown  unknown  unknown" in shown
    assert "clock kept 99.8% of 650 ticks" in shown
    empty = text("health", made_snapshot(health={}, latency={"stages": {}}))
    assert "connections unknown   backlog unknown   holes unknown" in empty
    assert "age p99 unknown ms" in empty


def test_problems_stand_before_alarms_and_both_are_counted():
    assert text("alarms").split("\n")[:2] == ["the model: it took 900 ms: HOLD", "disk: 2.1 GB are left"]
    assert pressing(made_snapshot()) == 2
    assert text("alarms", made_snapshot(problems={}, health={})) == "nothing stands"
    still = made_snapshot(standstill=("no connection stands",))
    assert text("alarms", still).split("\n")[0] == "no order goes out: no connection stands"
    assert pressing(still) == 3


def test_the_log_begins_with_its_newest_line():
    assert text("log").split("\n")[0] == "11:59:55 filled BUY_YES 10 @ 0.41"
    assert text("log", made_snapshot(log=())) == "nothing has happened yet"


def test_a_market_whose_mark_is_unknown_has_no_result():
    assert pnl_e6(made_market()) == 242_500
    assert pnl_e6(made_market(value_e6=None)) is None


@pytest.mark.parametrize("name", [name for name, _ in PANELS])
@pytest.mark.parametrize("width", [1, 8, 500])
def test_text_from_outside_is_text_in_every_panel_at_any_width(name, width):
    odd = "[red]x[/]\x1b[2J\n" * 20
    fill = {**made_snapshot().last_fills[0], "ticker": odd}
    risk = {**made_snapshot().risk, "undecided": [odd], "is_reconciled": False, "reconciled_why": odd}
    snapshot = made_snapshot(
        markets=(made_market(ticker=odd, order=odd),), last_fills=(fill,), risk=risk, log=(odd,),
        problems={odd: odd}, health={"alarms": [{"name": odd, "text": odd}]}, standstill=(odd,),
        refused={odd: {"n": 1, "words": odd, "at_ns": 0}}, other_orders={odd: odd},
    )  # fmt: skip
    shown = text(name, snapshot, width, ticker=odd, order=odd)
    assert "\x1b" not in shown
    if name in ("alarms", "log"):
        assert "[red]x[/]" in shown


def test_what_no_order_explains_stands_beside_the_result_that_leaves_it_out():
    assert "no order explains" not in text("money")
    paid = dataclasses.replace(made_snapshot(), paid_in_e6=-2_000_000)
    assert "-2.00 $ that no order explains: not in the P&L" in text("money", paid)
