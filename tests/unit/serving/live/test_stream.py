"""A stream's texts and answers: order, numbers, what is refused, and that resuming changes nothing."""

import json

import numpy as np
import pytest
from made.live_capture import in_order, simulated
from made.stream_texts import (
    MODEL,
    NOW_NS,
    T0_NS,
    M,
    Policy,
    answers,
    delta,
    line,
    session,
    snapshot,
    texts_of,
)

from kalshi_platform.data.features.spec import ROW_FEATURE_SETS, features_of
from kalshi_platform.data.market_data.capture import read_frames
from kalshi_platform.domain.actions import BUY_NO, HOLD, by_action
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.serving.api.messages import OpenMessage
from kalshi_platform.serving.live.sessions import SessionStore
from kalshi_platform.simulation.replay.layout import layout_of
from kalshi_platform.simulation.replay.observation import N_PORTFOLIO, portfolio_column


def test_a_frame_is_answered_by_the_decision_of_its_group() -> None:
    stream = session({"probabilities": True})
    (decision,) = answers(stream, snapshot())
    assert decision == {
        "type": "decision", "frame": 1, "recv_ns": T0_NS + 1_000_000_000, "group": 0,
        "actions": {M: "BUY_YES"}, "confidence": 0.75, "tier": "tier_2", "notes": ["cached", "deadline"],
        "reasons": {}, "model": MODEL.key.model, "probabilities": {M: by_action([1, 0, 0, 0, 0])},
        "missing_inputs": {M: stream.books.missing[M]},
    }  # fmt: skip


def test_resuming_anywhere_shows_the_policy_what_it_would_have_been_shown(tmp_path) -> None:
    texts = texts_of(in_order(read_frames(simulated(tmp_path, messages_per_market=60, gap_share=1.0))))
    whole, policy = session(), Policy()
    unbroken = [m for text in texts for m in whole.step(text, NOW_NS, policy)]
    rng = np.random.default_rng(5)
    for cut in rng.integers(1, len(texts), 4).tolist():
        again, replayed = session({"decide_after": cut}), Policy()
        answered = [m for text in texts for m in again.step(text, NOW_NS, replayed)]
        late = [m for m in unbroken if json.loads(m)["type"] != "decision" or json.loads(m)["frame"] > cut]
        assert answered == late
        n = len(replayed.batches)
        for mine, theirs in zip(replayed.batches, policy.batches[-n:], strict=True):
            for a, b in zip(mine, theirs, strict=True):
                np.testing.assert_array_equal(a, b)


def kinds(messages: list[dict]) -> list[str]:
    return [message["type"] for message in messages]


def details(messages: list[dict]) -> str:
    return "; ".join(m["problem"]["detail"] for m in messages if m["type"] == "refused")


# Decisions


def test_frames_of_one_instant_decide_again_and_the_interval_counts_from_their_time() -> None:
    stream, policy = session({"decision_interval_ms": 1_500}), Policy()
    ns = [1_000, 1_000, 2_000, 2_400, 2_500, 3_999, 4_000]
    texts = [snapshot()] + [delta(k) for k in range(2, 8)]
    frames = []
    for ms, text in zip(ns, texts, strict=True):
        told = [json.loads(m) for m in stream.step(line(T0_NS + ms * 1_000_000, text), NOW_NS, policy)]
        frames += [m["frame"] for m in told if m["type"] == "decision"]
    # due at 1.0 (twice), then from 2.5 on, then from 4.0 on
    assert frames == [1, 2, 5, 7]


def test_markets_go_to_the_named_groups_and_then_to_groups_by_first_appearance() -> None:
    stream = session({"groups": [["B", "A"]]})
    for k, ticker in enumerate(["C", "A", "D", "E", "F", "B"], start=1):
        answers(stream, snapshot(k, ticker=ticker))
    assert stream.books.tickers == [["B", "A"], ["C", "D", "E"], ["F"]]
    (decision,) = answers(stream, delta(7, ticker="A"))
    assert (decision["group"], sorted(decision["actions"])) == (0, ["A", "B"])


def test_a_market_that_no_group_names_is_told_where_it_was_put() -> None:
    stream = session({"groups": [["B"]]})
    told = [
        json.loads(m)
        for k, t in ((1, "A"), (2, "B"))
        for m in stream.step(snapshot(k, ticker=t), T0_NS, Policy())
    ]
    assert [m for m in told if m["type"] == "placed"] == [
        {
            "type": "placed",
            "ticker": "A",
            "group": 1,
            "slot": 0,
            "missing_inputs": stream.books.missing["A"],
        }
    ]


def test_a_frame_that_concerns_several_groups_decides_them_in_one_batch() -> None:
    stream, policy = session({"groups": [["A"], ["B"]]}), Policy()
    answers(stream, snapshot(1, ticker="A"), snapshot(2, ticker="B"), decide=policy)
    # both books are on sid 1, so after the hole both wait for snapshots: nothing is decided
    assert answers(stream, delta(9, ticker="A"), decide=policy) == []
    assert [batch.n for batch in policy.batches] == [1, 1]


def test_a_market_without_a_valid_book_is_not_answered_for() -> None:
    stream = session({"groups": [["A", "B"]]})
    answers(stream, snapshot(1, ticker="A"), snapshot(1, ticker="B", sid=2))
    (decision,) = answers(stream, snapshot(5, ticker="B", sid=2))
    assert sorted(decision["actions"]) == ["A", "B"]
    messages = answers(stream, delta(7, ticker="B", sid=2), delta(2, ticker="A"))
    assert kinds(messages) == ["decision"]
    assert list(messages[0]["actions"]) == ["A"]


def test_a_crossed_book_calls_for_no_decision_and_is_a_forced_hold_beside_others() -> None:
    policy, stream = Policy(), session()
    answers(stream, snapshot(yes=[["0.6000", "1.00"]], no=[["0.4500", "1.00"]]), decide=policy)
    assert policy.batches == []
    (decision,) = answers(stream, snapshot(2, ticker="B"), decide=policy)
    assert policy.batches[0].forced.tolist() == [[HOLD, -1, -1]]
    assert list(decision["reasons"]) == [M]
    assert decision["reasons"][M].startswith("crossed:")


def exclusive(policy, *texts, is_exclusive=True, **facts) -> dict:
    """Last decision of a stream about A and B, of one event, after snapshots of both and ``texts``."""
    markets = [{"ticker": t, "event": "E", "mutually_exclusive": is_exclusive} for t in ("A", "B")]
    markets[0] |= facts
    books = [snapshot(k, [["0.6000", "10.00"]], [["0.3900", "9.00"]], t) for k, t in ((1, "A"), (2, "B"))]
    return answers(session({"markets": markets}), *books, *texts, decide=policy)[-1]


def demands(decision: dict, policy: Policy) -> tuple[list[int], list[str]]:
    """Actions that the rules demand of the slots, and the first words of the reasons by market."""
    words = [reason.split(":")[0] for _, reason in sorted(decision["reasons"].items())]
    return policy.batches[-1].forced[0].tolist(), words


def test_riskless_sets_are_forced_only_where_the_metadata_says_exclusive() -> None:
    policy = Policy()
    for is_exclusive, expected in ((True, [BUY_NO, BUY_NO, -1]), (False, [-1, -1, -1]), (None, [-1, -1, -1])):
        decision = exclusive(policy, is_exclusive=is_exclusive)
        words = ["riskless", "riskless"] if is_exclusive else []
        assert demands(decision, policy) == (expected, words)


def test_a_leg_whose_market_is_closed_by_now_protects_nobody() -> None:
    policy = Policy()
    decision = exclusive(policy, close_ns=T0_NS + 2_000_000_000)  # B's book comes at that moment
    assert demands(decision, policy) == ([HOLD, HOLD, -1], ["closed", "closed"])
    assert sorted(decision["reasons"]) == ["A", "B"]


@pytest.mark.parametrize(
    ("silent_ms", "first_word"), [(1_999, "riskless"), (2_000, "stale"), (3 * 86_400_000, "stale")]
)
def test_a_leg_that_has_been_silent_protects_nobody(silent_ms, first_word) -> None:
    policy, markets = Policy(), [{"ticker": t, "event": "E", "mutually_exclusive": True} for t in ("A", "B")]
    books = [snapshot(k, [["0.6000", "10.00"]], [["0.3900", "9.00"]], t) for k, t in ((1, "A"), (2, "B"))]
    texts = [line(T0_NS - silent_ms * 1_000_000, books[0], 0), line(T0_NS, books[1], 0)]
    decision = answers(session({"markets": markets}), *texts, decide=policy)[-1]
    action = BUY_NO if first_word == "riskless" else HOLD
    assert demands(decision, policy) == ([action, action, -1], [first_word] * 2)


def test_a_leg_that_shows_less_than_the_order_protects_nobody() -> None:
    policy = Policy()
    decision = exclusive(policy, delta(3, price="0.6000", change="-0.01", ticker="A"))
    assert demands(decision, policy) == ([HOLD, HOLD, -1], ["too small", "too small"])


# The account


def test_the_account_is_seen_in_the_portfolio_and_the_masks() -> None:
    stream, policy = session(), Policy()
    answers(stream, snapshot(), decide=policy)
    holding_yes = {"position_e2": 1_000, "cost_e6": 3_800_000, "opened_ns": T0_NS}
    account = {
        "type": "account",
        "cash_e6": 100_000_000,
        "reserved_e6": 50_000_000,
        "markets": {M: holding_yes},
    }
    assert answers(stream, json.dumps(account)) == []
    answers(stream, delta(2), decide=policy)
    layout = layout_of(3, len(features_of(ROW_FEATURE_SETS)), N_PORTFOLIO)
    flat = policy.batches[-1].flat
    # 10 of 50 contracts; entry 0.38, mid 0.45; 50 of 200 dollars free
    assert portfolio_column("position", layout, flat)[0, 0] == np.float32(0.2)
    assert portfolio_column("entry_distance", layout, flat)[0, 0] == pytest.approx(0.07)
    assert portfolio_column("cash", layout, flat)[0, 0] == np.float32(0.25)
    assert layout.action_mask(flat)[0, 0].tolist() == [1, 1, 1, 0, 0]
    in_flight = {**account, "markets": {M: {**holding_yes, "in_flight": "SELL_YES"}}}
    answers(stream, json.dumps(in_flight), delta(3), decide=policy)
    assert layout.action_mask(policy.batches[-1].flat)[0, 0].tolist() == [1, 0, 0, 0, 0]
    resting = {**account, "markets": {M: {"resting": {"action": "BUY_NO", "price_e4": 4_800, "qty_e2": 5}}}}
    answers(stream, json.dumps(resting), delta(4), decide=policy)
    flat = policy.batches[-1].flat
    assert portfolio_column("position", layout, flat)[0, 0] == 0
    assert portfolio_column("resting_side", layout, flat)[0, 0] == -1
    assert portfolio_column("resting_distance", layout, flat)[0, 0] == pytest.approx(-0.03)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cash_e6": 1.5}, "cash_e6 = 1.5: send a whole number"),
        ({"cash_e6": -1}, "cash_e6 = -1: send at least 0"),
        ({"cash_e6": True}, "cash_e6 = true: send a whole number"),
        ({"reserved_e6": 300_000_000}, "exceeds cash_e6"),
        ({"group": 1}, "there are 1 groups"),
        ({"markets": {"OTHER": {}}}, "OTHER is not in group 0"),
        ({"markets": {M: {"cost_e6": 5}}}, "of no position"),
        ({"markets": {M: {"position_e2": 5}}}, "without opened_ns"),
        ({"markets": {M: {"position_e2": 10**30}}}, "more than 18 digits: send at most"),
        ({"markets": {M: {"in_flight": "HOLD"}}}, "BUY_YES"),
        ({"surprise": 1}, "surprise = 1: there is no such field; there are type, group"),
    ],
)
def test_an_account_that_cannot_be_is_refused_and_changes_nothing(change: dict, said: str) -> None:
    stream = session()
    answers(stream, snapshot())
    before = stream.books.groups[0].slots.tobytes(), stream.books.groups[0].envs.tobytes()
    (refused,) = answers(stream, json.dumps({"type": "account", "cash_e6": 200_000_000, **change}))
    assert (refused["type"], refused["frame"]) == ("refused", None)
    assert said in refused["problem"]["detail"]
    assert (stream.books.groups[0].slots.tobytes(), stream.books.groups[0].envs.tobytes()) == before
    assert stream.next_frame == 2


# What is refused


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[1]", "list, not a JSON object"),
        (line(T0_NS + 2 * 10**9, "nonsense"), "not JSON"),
        ('{"recv_ns": 5, "raw": "{}"}', "no 'conn'"),
        ('{"recv_ns": 1e30, "conn": 1, "raw": "{}"}', "recv_ns = 1e+30"),
        (f'{{"recv_ns": {1 << 70}, "conn": 1, "raw": "{{}}"}}', "recv_ns = 1180591620717411303424 cannot be"),
        (line(T0_NS, delta(2)), "clock never goes back"),
        (
            line(T0_NS // 10**6, delta(2)),
            "recv_ns = 1700000000000 looks like milliseconds: as ns it is 1970-",
        ),
        (line(T0_NS + 2 * 86_400 * 10**9, delta(2)), "10 s after the server's clock"),
        (delta(2, price="0.4050"), "off the market's grid"),
        (delta(2, price="1.5000"), "outside 0..1 dollar"),
        (delta(2, change="1e40"), "more than 18 digits"),
        (delta(2, change="9" * 5_000), "more than 18 digits"),
        (delta(2, change="99999999999.00"), "beyond 200000000000"),
        (delta(2, side="maybe"), "side = 'maybe'"),
        (delta(2).replace('"yes"', '["yes"]'), "side = ['yes']"),
        (delta(1 << 70), "seq = "),
        (delta(2, ticker="no ticker!"), "1..128 letters"),
        (snapshot(2, yes=[["0.4000", "1.00"], ["0.4000", "2.00"]]), "repeats price 4000"),
        (snapshot(2, yes=[["0.4000", "-1.00"]]), "not above zero"),
    ],
)
def test_a_malformed_frame_is_refused_counted_and_the_session_goes_on(text: str, said: str) -> None:
    stream = session({"markets": [{"ticker": M, "event": "E"}]})
    answers(stream, snapshot())
    (refused,) = answers(stream, text)
    assert (refused["type"], refused["frame"], refused["refused"]) == ("refused", 2, 1)
    assert said in refused["problem"]["detail"]
    assert kinds(answers(stream, snapshot(9))) == ["decision"]


def test_the_largest_book_is_read_as_a_capture_line_and_a_text_beyond_the_bound_is_not() -> None:
    levels = [[f"0.{price:04d}", "1234567.00"] for price in range(1, 9_999)]
    text = line(T0_NS, snapshot(yes=levels, no=[]))
    assert len(text) > 1 << 18
    fine = {"ticker": M, "event": "E", "price_ranges": [{"start_e4": 0, "end_e4": 10_000, "step_e4": 1}]}
    assert kinds(answers(session({"markets": [fine]}), text)) == ["decision"]
    (refused,) = answers(session({"markets": [fine]}, max_frame_bytes=1 << 18), text)
    assert "characters; at most 262144" in refused["problem"]["detail"]


@pytest.mark.parametrize("ahead_ns", [-T0_NS, 60 * 10**9, 23 * 3_600 * 10**9, 2 * 86_400 * 10**9])
def test_a_frame_of_an_impossible_time_is_lost_and_does_not_move_the_clock(ahead_ns: int) -> None:
    stream = session()
    assert kinds(answers(stream, snapshot(), line(T0_NS + 1 + ahead_ns, delta(2)))) == ["decision", "refused"]
    # the refused delta used its number up and left no book valid: the next snapshot makes one
    assert answers(stream, delta(3)) == []
    assert kinds(answers(stream, snapshot(4))) == ["decision"]


def test_a_simulated_line_may_lie_in_the_future() -> None:
    later = {"recv_ns": NOW_NS, "conn": 1, "provenance": "simulated", "raw": snapshot()}
    assert kinds(answers(session(), json.dumps(later))) == ["decision"]
    del later["provenance"]
    assert kinds(answers(session(), json.dumps(later))) == ["refused"]


def test_one_early_line_costs_the_lines_behind_it_and_never_the_session() -> None:
    stream = session(max_refused=3)
    answers(stream, line(T0_NS, snapshot()))
    early = T0_NS + 2 * 10**9 + 9 * 10**9  # nine seconds before the server's clock
    assert kinds(answers(stream, line(early, delta(2)))) == ["decision"]
    late = [line(early - (9 - k) * 10**9, delta(3 + k)) for k in range(8)]
    told = answers(stream, *late)
    assert kinds(told) == ["refused"] * 8
    assert all("clock never goes back" in each["problem"]["detail"] for each in told)
    assert kinds(answers(stream, line(early + 1, snapshot(20)))) == ["decision"], "it ended by itself"


def test_a_simulated_line_among_real_ones_is_refused_and_the_other_way_round() -> None:
    made_up = json.dumps({"recv_ns": NOW_NS, "conn": 1, "provenance": "simulated", "raw": snapshot()})
    stream = session()
    told = answers(stream, line(T0_NS, snapshot()), made_up, line(T0_NS + 1, snapshot(2)))
    assert kinds(told) == ["decision", "refused", "decision"]
    assert "not simulated by their provenance" in told[1]["problem"]["detail"]
    assert kinds(answers(session(), made_up, line(T0_NS, snapshot()))) == ["decision", "refused"]


@pytest.mark.parametrize("kind", ["frame", "account"])
def test_a_failure_of_the_server_is_told_leaves_no_book_valid_and_ends_nothing(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = session()
    assert kinds(answers(stream, snapshot(), snapshot(1, ticker="KXTEST-1-B", sid=2))) == ["decision"] * 2

    def fails(*_: object) -> None:
        raise TypeError("planted")

    text = delta(2) if kind == "frame" else json.dumps({"type": "account", "cash_e6": 1})
    with monkeypatch.context() as broken:
        broken.setattr(stream.books, "feed" if kind == "frame" else "set_account", fails)
        (told,) = answers(stream, text)
    assert told["type"] == "refused"
    assert told["frame"] == (3 if kind == "frame" else None)
    assert "the server failed" in told["problem"]["detail"]
    assert "planted" not in told["problem"]["detail"]
    # No book is trusted, also not that of the other market; frames are counted as the client counts them.
    after = answers(stream, delta(3), delta(2, ticker="KXTEST-1-B", sid=2), json.dumps({"type": "ack"}))
    assert [each["type"] for each in after] == ["ack"]
    assert after[0]["frame"] == (5 if kind == "frame" else 4)
    assert kinds(answers(stream, snapshot(9))) == ["decision"]


def test_a_session_that_cannot_make_its_books_invalid_closes_with_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = session()

    def fails(*_: object) -> None:
        raise TypeError("planted")

    monkeypatch.setattr(stream.books, "feed", fails)
    monkeypatch.setattr(stream.books, "spoil", fails)
    (told,) = answers(stream, snapshot())
    assert (told["type"], stream.closed) == ("closed", True)
    assert "open a new session" in told["reason"]


@pytest.mark.parametrize(
    "bad", [delta(2, price="0.4050"), delta(2, side="maybe"), snapshot(2, yes=[["2", "1"]])]
)
def test_a_refused_book_frame_leaves_no_stale_book_valid(bad: str) -> None:
    stream = session({"markets": [{"ticker": M, "event": "E"}]})
    answers(stream, snapshot(), bad)
    assert answers(stream, delta(3)) == []
    assert kinds(answers(stream, snapshot(4))) == ["decision"]


def test_a_refused_trade_leaves_the_book_as_it_is() -> None:
    stream = session()
    trade = {"type": "trade", "sid": 2, "seq": 1, "msg": {"market_ticker": M, "yes_price_dollars": "0.45"}}
    assert kinds(answers(stream, snapshot(), json.dumps(trade))) == ["decision", "refused"]
    assert kinds(answers(stream, delta(2))) == ["decision"]


def test_a_level_below_zero_makes_the_book_invalid_until_its_snapshot() -> None:
    stream = session()
    assert kinds(answers(stream, snapshot(), delta(2, change="-99.00"), delta(3))) == ["decision"]
    assert stream.books.counters["books_ended:level_below_zero"] == 1
    assert stream.books.counters["deltas_quarantined"] == 1
    assert kinds(answers(stream, snapshot(4))) == ["decision"]


def test_a_grid_nobody_declared_is_inferred_and_a_declared_one_holds() -> None:
    fine = snapshot(2, yes=[["0.0550", "1.00"]], no=[["0.9000", "1.00"]])
    inferred = session()
    assert kinds(answers(inferred, snapshot(), fine)) == ["decision", "decision"]
    assert inferred.books.specification(M).tick_e4 == 10
    finer = snapshot(3, yes=[["0.0555", "1.00"]])
    assert "off the market's grid" in details(answers(inferred, finer))
    declared = session({"markets": [{"ticker": M, "event": "E"}]})
    assert "off the market's grid" in details(answers(declared, fine))


def test_a_grid_told_by_a_lifecycle_frame_holds_from_then_on() -> None:
    stream = session({"markets": [{"ticker": M, "event": "E"}]})
    bands = [{"start": "0.0000", "end": "1.0000", "step": "0.0010"}]
    told = {"market_ticker": M, "event_type": "price_level_structure_updated", "price_ranges": bands}
    answers(stream, snapshot(), json.dumps({"type": "market_lifecycle_v2", "sid": 3, "msg": told}))
    assert kinds(answers(stream, delta(2, price="0.4050"))) == ["decision"]


def test_a_grid_of_too_many_bands_is_refused_and_keeps_no_other_row_back() -> None:
    stream = session({"groups": [["A", "B"]]})
    answers(stream, snapshot(1, ticker="A"), snapshot(2, ticker="B"))
    bands = [{"start": f"0.{k}000", "end": f"0.{k}500", "step": "0.0100"} for k in range(9)]
    told = {"market_ticker": "A", "event_type": "activated", "price_ranges": bands}
    # its number on the books' subscription shows a hole: both books are spoilt, whatever else is refused
    text = json.dumps({"type": "market_lifecycle_v2", "sid": 1, "seq": 9, "msg": told})
    assert "9 price bands" in details(answers(stream, text))
    assert answers(stream, delta(10, ticker="A"), delta(11, ticker="B")) == []


def test_too_many_refusals_close_the_session() -> None:
    stream = session(max_refused=3)
    assert kinds(answers(stream, "{", "{", "{")) == ["refused", "refused", "refused", "closed"]
    assert answers(stream, snapshot()) == []
    assert stream.closed


def test_one_market_too_many_closes_the_session() -> None:
    stream = session(max_markets=2)
    assert kinds(answers(stream, *(snapshot(k, ticker=f"M-{k}") for k in (1, 2)))) == ["decision"] * 2
    (closed,) = answers(stream, snapshot(3, ticker="M-3"))
    assert "one more than the 2 a session may have" in closed["reason"]


@pytest.mark.parametrize(
    "flood",
    [
        [line(T0_NS, "{}", conn) for conn in range(30)],
        [json.dumps({"type": f"unheard-of-{k}"}) for k in range(30)],
        [snapshot(1, sid=k) for k in range(30)],
    ],
)
def test_what_would_grow_without_bound_closes_the_session(flood: list[str]) -> None:
    assert kinds(answers(session(max_streams=20, max_counters=20), *flood))[-1] == "closed"


# Acknowledgements, resuming, opening


def test_frames_are_acknowledged_every_so_often_and_when_asked() -> None:
    stream = session(ack_every=2)
    messages = answers(stream, *(json.dumps({"type": "ticker"}) for _ in range(5)), '{"type": "ack"}')
    assert messages == [{"type": "ack", "frame": n} for n in (2, 4, 5)]


def test_a_resumed_client_is_told_where_it_stands_and_what_it_missed() -> None:
    stream = session()
    answers(stream, snapshot(), delta(2))
    told = [json.loads(m) for m in stream.resume(OpenMessage(type="open", decide_after=1), MODEL)]
    assert (told[0]["type"], told[0]["next_frame"], told[0]["resumed"]) == ("opened", 3, True)
    assert [(m["type"], m["frame"]) for m in told[1:]] == [("decision", 2)]
    assert len(stream.resume(OpenMessage(type="open", decide_after=2), MODEL)) == 1


def test_a_decision_that_a_connection_before_gets_late_is_not_the_last_one() -> None:
    stream, decide = session(), Policy()
    found = [
        stream.feed(text, T0_NS + n * 1_000_000_000).due for n, text in enumerate((snapshot(), delta(2)))
    ]
    for due in reversed(found):
        assert due is not None
        stream.answer(due, decide(due.batch, due.recv_ns))
    told = [json.loads(m) for m in stream.resume(OpenMessage(type="open", decide_after=0), MODEL)]
    assert [(m["type"], m["frame"]) for m in told[1:]] == [("decision", 2)]


def test_a_session_is_opened_once() -> None:
    (refused,) = answers(session(), '{"type": "open"}')
    assert "open already" in refused["problem"]["detail"]


@pytest.mark.parametrize(
    ("opening", "said"),
    [
        ({"groups": [["A", "B", "C", "D"]]}, "decides at most 3 together"),
        ({"groups": [["A"], ["A"]]}, "has a place already"),
        ({"markets": [{"ticker": "A", "event": "E"}] * 2}, "name a ticker twice"),
        ({"markets": [{"ticker": "A", "event": "E", "close_ns": 1 << 63}]}, "markets.0.close_ns"),
        ({"markets": [{"ticker": "A", "event": "E", "fee_multiplier_e6": 1 << 40}]}, "fee_multiplier_e6"),
        ({"markets": [{"ticker": "A"}]}, "the open message is refused: markets.0.event is missing"),
        ({"decide_after": "5"}, "decide_after = '5': send a whole number"),
        (
            {"what": 1, "source": "live"},
            "source = 'live': send one of 'real', .*; what = 1: there is",
        ),
    ],
)
def test_an_opening_that_cannot_be_is_refused(opening: dict, said: str) -> None:
    with pytest.raises(ContractError, match=said):
        SessionStore().open(json.dumps({"type": "open", "accept_missing_inputs": True, **opening}), MODEL, 0)
