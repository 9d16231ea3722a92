"""A simulated model is not shown real frames unasked, and an input that nobody tells is no neutral value."""

import json
from dataclasses import replace

import pytest
from made.live_capture import ALL_GROUPS
from made.served import REAL_MARKS, SIMULATED_MARKS, reading
from made.stream_texts import MODEL, T0_NS, TRADING, M, Policy, line, session, snapshot

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.models.registry.marks import UNMARKED
from kalshi_platform.serving.api.messages import OpenMessage
from kalshi_platform.serving.live.admission import columns_shown, refusal_of
from kalshi_platform.serving.live.sessions import SessionStore
from kalshi_platform.serving.live.stream import StreamSession
from kalshi_platform.simulation.replay.trading import TradingConfig

ID = MODEL.key.model
PLAIN = TradingConfig(n_slots=3)  # orderbook and temporal
SIMULATED = replace(MODEL, marks=SIMULATED_MARKS)
UNKNOWN = replace(MODEL, marks=UNMARKED)
SPEC = {"ticker": M, "event": "KXTEST-1", "category": "Climate", "open_ns": T0_NS, "close_ns": T0_NS + 10**15}


def opening(**fields):
    return OpenMessage.parse({"type": "open", **fields})


@pytest.mark.parametrize("source", [None, "real", "recorded", "quotes", "trade_implied"])
@pytest.mark.parametrize("model", [SIMULATED, UNKNOWN])
def test_a_model_that_no_real_data_judged_is_refused_for_real_frames_by_name_with_the_remedies(source, model):
    reason = refusal_of(opening(source=source), model)
    assert reason.startswith(ID)
    for remedy in ('"allow_simulated": true', f'"model": "{ID}"', '"source": "simulated"'):
        assert remedy in reason
    assert refusal_of(opening(source=source), MODEL) == ""


def test_the_refusal_says_on_what_the_model_was_judged():
    assert "was judged on simulated data only (12 events in 12 blocks simulated)" in refusal_of(
        opening(), SIMULATED
    )
    assert "before the data that judge a model were counted" in refusal_of(opening(), UNKNOWN)


@pytest.mark.parametrize("allowed", [{"allow_simulated": True}, {"model": ID}, {"source": "simulated"}])
def test_whoever_allows_it_is_answered_by_a_simulated_model(allowed):
    assert refusal_of(opening(**allowed), SIMULATED) == ""


def test_a_named_model_is_the_only_one_that_may_answer():
    reason = refusal_of(opening(model="tiny-ffffffffffff", allow_simulated=True), MODEL)
    assert f"{ID} answers here, the open message names tiny-ffffffffffff" in reason


def opened(store, model, **fields):
    return store.open(json.dumps({"type": "open", "accept_missing_inputs": True, **fields}), model, 0)


def test_no_session_is_opened_or_taken_up_again_for_a_simulated_model_unasked():
    store = SessionStore()
    with pytest.raises(ContractError, match=ID):
        opened(store, SIMULATED)
    lease = opened(store, MODEL)
    store.leave(lease, 0)
    with pytest.raises(ContractError, match=ID):  # the alias names a simulated model meanwhile
        opened(store, SIMULATED, session=lease.session.id)
    assert opened(store, MODEL, session=lease.session.id).session is lease.session


def test_a_session_keeps_what_its_own_open_message_allowed():
    store = SessionStore()
    lease = opened(store, SIMULATED, allow_simulated=True)
    store.leave(lease, 0)
    again = opened(store, SIMULATED, session=lease.session.id)
    assert again.session is lease.session
    assert lease.session.refuses(SIMULATED) == ""
    assert opened(store, MODEL).session.refuses(SIMULATED) != ""


def test_a_session_of_simulated_frames_does_not_go_on_with_real_ones():
    store = SessionStore()
    lease = opened(store, SIMULATED, source="simulated")
    store.leave(lease, 0)
    with pytest.raises(ContractError, match="is not shown real data unasked"):
        opened(store, SIMULATED, session=lease.session.id, source="real")
    assert opened(store, SIMULATED, session=lease.session.id).session is lease.session


def decision(stream, *texts):
    told = [json.loads(m) for text in texts for m in stream.step(text, T0_NS, Policy())]
    return [m for m in told if m["type"] == "decision"]


def test_every_answer_of_a_simulated_model_says_so():
    stream = StreamSession("s", opening(allow_simulated=True), reading(PLAIN, 0, ID))
    stream.resume(opening(allow_simulated=True), replace(SIMULATED, marks=SIMULATED_MARKS))
    (told,) = decision(stream, line(T0_NS, snapshot()))
    assert told["simulated"] is True
    assert told["cautions"] == ["simulated: judged on simulated data only (12 events in 12 blocks simulated)"]
    real = StreamSession("s", opening(), reading(PLAIN, 0, ID))
    assert "simulated" not in json.loads(real.opened(resumed=False)[0])
    assert "simulated" not in decision(real, line(T0_NS, snapshot()))[0]


def test_the_model_that_answers_marks_the_answer_whoever_opened_the_session():
    stream = session({"allow_simulated": True})
    fed = stream.feed(line(T0_NS, snapshot()), T0_NS)
    (text,) = stream.answer(fed.due, Policy()(fed.due.batch, 0), SIMULATED)
    assert json.loads(text)["simulated"] is True
    (text,) = stream.answer(fed.due, Policy()(fed.due.batch, 0), replace(MODEL, marks=REAL_MARKS))
    assert "simulated" not in json.loads(text)


# Inputs that a stream does not give


@pytest.mark.parametrize(
    ("groups", "markets", "words"),
    [
        (("market_meta",), (), "is_sports, is_politics, is_economics, is_other"),
        (("market_meta",), (SPEC,), "category_rate (outcomes of other events"),
        (("resolution",), (SPEC,), "similar_rate, similar_confidence, category_calibration"),
        (
            ("temporal_adv",),
            ({**SPEC, "category": None},),
            f"inputs of market {M} that this stream does not give",
        ),
    ],
)
def test_inputs_that_would_be_neutral_values_are_refused_by_name_with_their_remedy(groups, markets, words):
    model = reading(TradingConfig(n_slots=3, groups=("orderbook", *groups)), 0, ID)
    with pytest.raises(ContractError) as caught:
        StreamSession("s", opening(markets=markets), model)
    assert words in str(caught.value)
    assert '"accept_missing_inputs": true' in str(caught.value)
    StreamSession("s", opening(markets=markets, accept_missing_inputs=True), model)


def test_a_market_that_a_group_names_needs_its_facts_too():
    model = reading(TradingConfig(n_slots=3, groups=("orderbook", "temporal_adv")), 0, ID)
    with pytest.raises(ContractError, match="inputs of market KXTEST-1-B"):
        StreamSession("s", opening(markets=[SPEC], groups=[[M, "KXTEST-1-B"]]), model)


def test_an_unknown_close_is_told_to_the_model_and_marked_on_the_answer():
    stream = StreamSession("s", opening(), reading(PLAIN, 0, ID))
    (told,) = decision(stream, line(T0_NS, snapshot()))
    assert told["missing_inputs"] == {M: ["time_to_close", "final_hour", "final_day"]}
    stream = StreamSession("s", opening(markets=[SPEC]), reading(PLAIN, 0, ID))
    (told,) = decision(stream, line(T0_NS, snapshot()))
    assert "missing_inputs" not in told


def test_accepted_neutral_inputs_are_marked_on_every_answer():
    model = reading(TRADING, 8, ID)
    stream = StreamSession("s", opening(markets=[SPEC], accept_missing_inputs=True), model)
    (told,) = decision(stream, line(T0_NS, snapshot()))
    assert told["missing_inputs"][M] == [
        "category_rate", "similar_rate", "similar_confidence", "category_calibration",
    ]  # fmt: skip


def test_a_market_without_facts_that_appears_later_is_withheld_and_said_to_be():
    model = reading(TradingConfig(n_slots=3, groups=("orderbook", "temporal_adv")), 0, ID)
    stream = StreamSession("s", opening(markets=[SPEC]), model)
    (told,) = decision(stream, line(T0_NS, snapshot()))
    assert list(told["actions"]) == [M]
    texts = stream.step(line(T0_NS + 1, snapshot(ticker="KXTEST-2-B", sid=2)), T0_NS + 1, Policy())
    (placed,) = [json.loads(text) for text in texts]
    assert (placed["type"], placed["ticker"], placed["withheld"]) == ("placed", "KXTEST-2-B", True)
    assert "information_urgency" in placed["missing_inputs"]


def test_a_lifecycle_frame_that_tells_the_close_ends_the_mark():
    stream = StreamSession("s", opening(), reading(PLAIN, 0, ID))
    assert "missing_inputs" in decision(stream, line(T0_NS, snapshot()))[0]
    msg = {"market_ticker": M, "event_type": "close_date_updated", "close_ts": T0_NS // 10**9 + 86_400}
    raw = json.dumps({"type": "market_lifecycle_v2", "sid": 3, "msg": msg})
    texts = (line(T0_NS + 10**9, raw), line(T0_NS + 2 * 10**9, snapshot(seq=2)))
    told = decision(stream, *texts)
    assert told
    assert "missing_inputs" not in told[-1]


def test_a_history_window_shows_columns_too():
    assert "time_to_close" in columns_shown(TradingConfig(n_slots=3, groups=("orderbook",)), 8)
    assert "time_to_close" not in columns_shown(TradingConfig(n_slots=3, groups=("orderbook",)), 0)
    assert "similar_rate" in columns_shown(TradingConfig(n_slots=3, groups=ALL_GROUPS), 0)
