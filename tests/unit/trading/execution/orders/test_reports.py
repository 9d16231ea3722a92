"""Reports: one form from two sources, refused where a word is not known."""

import pytest
from made.plain_account import HandClock, PlainAccount

from kalshi_platform.domain.errors import DataError
from kalshi_platform.trading.exchange import account_answers as answers
from kalshi_platform.trading.exchange.fields import AnswerFields
from kalshi_platform.trading.execution.orders.reports import (
    fill_of_rest,
    fill_of_stream,
    order_of_rest,
    order_of_stream,
)


@pytest.fixture
def account():
    account = PlainAccount(HandClock())
    account.fill(account.place("kp-a-1", "KX-A", "bid", 4_000, 1_000), 300)
    return account


def test_stream_and_rest_tell_the_same_order_and_the_same_fill(account):
    body, trade = account.body(account.orders["o-1"]), account.trades[0]
    stream = order_of_stream(body)
    rest = order_of_rest(answers.read_order(AnswerFields(body, "o")))
    assert (stream.order_id, stream.filled_e2, stream.remaining_e2) == ("o-1", 300, 700)
    assert rest.status is stream.status
    assert (rest.client_order_id, rest.price_e4, rest.initial_e2) == ("kp-a-1", 4_000, 1_000)
    by_rest = fill_of_rest(answers.read_fill(AnswerFields(trade, "f")))
    assert fill_of_stream(trade).key == by_rest.key
    assert by_rest.client_order_id is None
    assert fill_of_stream(trade).client_order_id == "kp-a-1"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("status", "asleep", "none of resting"),
        ("book_side", "yes", "neither bid nor ask"),
        ("fill_count_fp", None, "fill_count_fp"),
        ("yes_price_dollars", "1.5", "outside 0..1"),
        ("remaining_count_fp", "NaN", "remaining_count_fp"),
    ],
)
def test_a_report_that_cannot_be_read_is_refused_by_name(account, name, value, words):
    with pytest.raises(DataError, match=words):
        order_of_stream({**account.body(account.orders["o-1"]), name: value})


def test_a_fill_of_nothing_is_refused(account):
    with pytest.raises(DataError, match="more than 0"):
        fill_of_stream({**account.trades[0], "count_fp": "0.00"})
