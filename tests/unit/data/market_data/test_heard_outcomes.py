"""An outcome counts from when a recorder heard it, never from when the exchange says that it was public."""

from collections import Counter
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.data.dataset.outcomes import decode_outcomes, encode_outcomes
from kalshi_platform.data.market_data.market_meta import MarketRecord, merge_records, records_from_rest
from kalshi_platform.domain.units import parse_rfc3339

S = 10**9
T0 = parse_rfc3339("2026-11-23T02:00:00Z")
DETERMINED, DETERMINED_NS = "2026-11-23T02:00:10Z", T0 + 10 * S


def answer(second: float | None, **fields) -> MarketRecord:
    """REST's answer about one market, got ``second`` after T0; None: nobody noted when."""
    market = {"ticker": "E-A", "event_ticker": "E", "result": "", **fields}
    document = {"market": market} | ({} if second is None else {"known_ns": T0 + round(second * S)})
    (record,) = records_from_rest(document, "facts", Counter())
    return record


def merged(*records: MarketRecord) -> MarketRecord:
    return reduce(lambda a, b: merge_records(a, b, "facts"), records)


YES = {"result": "yes", "settlement_value_dollars": "1.0000"}
PAID = {**YES, "settlement_ts": DETERMINED}


def test_an_outcome_that_was_heard_late_was_known_late():
    record = merged(answer(0), answer(45, **PAID))
    assert record.settlement.determined_ns == DETERMINED_NS
    assert record.known_ns == T0 + 45 * S


def test_the_first_of_several_answers_counts_and_a_later_time_of_payment_changes_nothing():
    assert merged(answer(0), answer(8, **YES), answer(45, **PAID)).known_ns == T0 + 8 * S


def test_an_outcome_that_is_determined_anew_counts_from_the_new_answer_on():
    record = merged(answer(8, **YES), answer(45, result="no", settlement_value_dollars="0.0000"))
    assert (record.settlement.value_e4, record.known_ns) == (0, T0 + 45 * S)


def test_an_outcome_that_is_paid_later_was_known_when_it_was_told():
    assert merged(answer(0), answer(3, **PAID)).known_ns == T0 + 3 * S


def test_metadata_of_unknown_time_count_as_before():
    assert answer(None, **PAID).known_ns == DETERMINED_NS


def test_the_price_beside_an_outcome_is_that_of_the_answer_that_told_it():
    record = merged(answer(0, last_price_dollars="0.2000"), answer(9, **YES, last_price_dollars="0.9900"))
    assert record.last_price_e4 == 9_900


def test_a_dataset_keeps_when_an_outcome_was_heard():
    record = merged(answer(0), answer(8, **YES))
    (kept,) = decode_outcomes(encode_outcomes([record]), "x")
    assert (kept.heard_ns, kept.known_ns) == (T0 + 8 * S, T0 + 8 * S)
    assert merged(kept, answer(45, **PAID)).known_ns == T0 + 8 * S  # what a later day tells is no news


@given(seconds=st.lists(st.integers(0, 100), min_size=1, max_size=5), told_at=st.integers(0, 4))
def test_no_outcome_is_known_before_an_answer_told_it(seconds, told_at):
    seconds.sort()
    answers = [answer(s, **(YES if k >= told_at else {})) for k, s in enumerate(seconds)]
    known_ns = merged(*answers).known_ns
    assert known_ns == (T0 + seconds[told_at] * S if told_at < len(seconds) else None)
