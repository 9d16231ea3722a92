"""Refused orders by cause, from the notes of the recording."""

from kalshi_platform.trading.session import session_notes as notes
from kalshi_platform.trading.session.refusals import BY_EXCHANGE, Refusals


def test_orders_that_did_not_go_out_are_counted_by_their_first_cause_with_the_newest_words():
    refusals = Refusals()
    for at_ns, words in ((1, "spread_usd: would be 600"), (2, "spread_usd: would be 700; book_age_ms: old")):
        refusals.noted(at_ns, notes.SESSION_ORDER, {"client_id": "", "words": words})
    refusals.noted(3, notes.SESSION_ORDER, {"client_id": "", "words": "shard_unknown: nobody told it"})
    assert refusals.figures() == {
        "spread_usd": {"n": 2, "words": "spread_usd: would be 700; book_age_ms: old", "at_ns": 2},
        "shard_unknown": {"n": 1, "words": "shard_unknown: nobody told it", "at_ns": 3},
    }


def test_an_order_that_the_exchange_refused_is_its_refusal_and_one_that_rests_is_none():
    refusals = Refusals()
    refusals.noted(1, notes.SESSION_ORDER, {"client_id": "kp-1", "state": "refused", "words": "no cash"})
    refusals.noted(2, notes.SESSION_ORDER, {"client_id": "kp-2", "state": "resting", "words": ""})
    refusals.noted(3, notes.SESSION_FILL, {"client_id": ""})
    assert refusals.figures() == {BY_EXCHANGE: {"n": 1, "words": "no cash", "at_ns": 1}}


def test_causes_stay_few_whatever_the_words_are():
    refusals = Refusals()
    refusals.noted(1, notes.SESSION_ORDER, {"client_id": "", "words": "x" * 300})
    assert [len(cause) for cause in refusals.figures()] == [48]
