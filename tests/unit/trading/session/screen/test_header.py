"""First lines of the screen."""

import pytest
from made.session_snapshot import NOW_NS, SECOND_NS, made_market, made_snapshot

from kalshi_platform.trading.session.screen.header import header_text
from kalshi_platform.trading.session.snapshot import whose_money


def lines(snapshot, behind_ns=0, notice=""):
    return header_text(snapshot, NOW_NS + behind_ns, notice).plain.split("\n")


@pytest.mark.parametrize(
    ("mode", "is_simulated", "words"),
    [
        ("live", False, "REAL MONEY"),
        ("live", True, "REAL MONEY"),  # never called harmless by mistake
        ("demo", False, "DEMONSTRATION, PLAY MONEY"),
        ("paper", False, "REAL EXCHANGE'S FEED, PAPER MONEY"),
        ("paper", True, "SIMULATED EXCHANGE, PAPER MONEY"),
        ("simulated", True, "SIMULATED EXCHANGE, SIMULATED MONEY"),
    ],
)
def test_whose_money_it_is_stands_first(mode, is_simulated, words):
    assert whose_money(mode, is_simulated) == words
    assert lines(made_snapshot(mode=mode, is_simulated=is_simulated))[0].startswith(f" {words} ")


def test_four_lines_say_money_cautions_state_and_age():
    first, caution, state, account = lines(made_snapshot())
    assert "mode simulated, model tiny-2f9c (challenger)" in first
    assert caution == " caution: judged on simulated data alone"
    assert state == " ACTIVE  started"
    assert account == " P&L +0.24 $, equity 1000.24 $, 0:01:05, newest book 0.2 s old"


def test_a_reason_with_line_ends_stays_one_line():
    found = lines(made_snapshot(state="halted", state_why="a\nb\x1b[2J"))
    assert found[2] == " HALTED  a\ufffdb\ufffd[2J"
    assert len(found) == 4


def test_figures_of_a_session_that_is_silent_are_said_to_be_old():
    assert lines(made_snapshot(), 6 * SECOND_NS)[3] == (
        " NO NEWS FROM THE SESSION FOR 6.0 s: all figures are old "
    )


def test_what_the_screen_has_to_say_comes_before_the_account():
    assert lines(made_snapshot(), notice="PANELS PAUSED")[3].startswith(" PANELS PAUSED  P&L +0.24 $")
    stale = lines(made_snapshot(), 6 * SECOND_NS, "PANELS PAUSED")[3]
    assert stale.startswith(" PANELS PAUSED  NO NEWS FROM THE SESSION")


def test_the_age_of_books_of_which_none_came_is_unknown():
    assert "newest book unknown old" in lines(made_snapshot(markets=(made_market(row_ns=0),)))[3]
    assert "newest book unknown old" in lines(made_snapshot(markets=()))[3]


def test_active_is_no_green_light_where_something_else_holds_the_orders_back():
    held = made_snapshot(standstill=("no connection stands", "a second reason"))
    assert lines(held)[2] == " ACTIVE  NO ORDER GOES OUT: no connection stands; a second reason"
    text = header_text(held, NOW_NS, "")
    assert "green" not in " ".join(str(span.style) for span in text.spans)
    halted = made_snapshot(state="halted", state_why="a person", standstill=("no connection stands",))
    assert lines(halted)[2] == " HALTED  a person"
