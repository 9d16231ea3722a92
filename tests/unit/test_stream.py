"""A stream's texts and answers: order, numbers, what is refused, and that resuming changes nothing."""

import json

import numpy as np
from live_capture import ALL_GROUPS, in_order, simulated

from kalshi_platform.events.capture import read_frames
from kalshi_platform.replay.account import BUY_YES, HOLD
from kalshi_platform.replay.trading import TradingConfig
from kalshi_platform.serving.batch import Batch, Decisions, Note, Tier, holding
from kalshi_platform.serving.messages import OpenMessage
from kalshi_platform.serving.stream import StreamLimits, StreamModel, StreamSession

MODEL = StreamModel("l1-0123456789ab", TradingConfig(n_slots=3, groups=ALL_GROUPS), 8)
T0_NS = 1_700_000_000_000_000_000
M = "KXTEST-1-A"


class Policy:
    """Buys where it may; keeps the batches it was shown."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def __call__(self, batch: Batch, now_ns: int) -> Decisions:
        self.batches.append(batch)
        n_slots = batch.forced.shape[1]
        decisions = holding(batch.n, n_slots)
        mask = batch.flat[:, -5 * n_slots :].reshape(batch.n, n_slots, 5)
        decisions.actions[:] = np.where(mask[..., BUY_YES] > 0, BUY_YES, HOLD)
        decisions.confidence[:] = 0.75
        decisions.tier[:] = Tier.LSTM
        decisions.notes[:] = Note.CACHED | Note.DEADLINE
        return decisions


def session(opening=None, **limits) -> StreamSession:
    opening = OpenMessage.parse({"type": "open", **(opening or {})})
    return StreamSession("s-1", opening, MODEL, StreamLimits(**limits))


def line(recv_ns: int, raw: str, conn: int = 1) -> str:
    return json.dumps({"recv_ns": recv_ns, "conn": conn, "raw": raw})


def texts_of(frames) -> list[str]:
    return [line(frame.recv_ns, frame.raw, frame.conn) for frame in frames]


def snapshot(seq=1, yes=(("0.4000", "10.00"),), no=(("0.5000", "10.00"),), ticker=M, sid=1) -> str:
    msg = {"market_ticker": ticker, "yes_dollars_fp": yes, "no_dollars_fp": no}
    return json.dumps({"type": "orderbook_snapshot", "sid": sid, "seq": seq, "msg": msg})


def delta(seq, price="0.4000", change="1.00", side="yes", ticker=M, sid=1) -> str:
    msg = {"market_ticker": ticker, "price_dollars": price, "delta_fp": change, "side": side}
    return json.dumps({"type": "orderbook_delta", "sid": sid, "seq": seq, "msg": msg})


def answers(stream, *texts, decide=None) -> list[dict]:
    """What a stream answers to frames received a second apart, starting where it stands."""
    decide = decide or Policy()
    out = []
    for text in texts:
        now_ns = T0_NS + stream.next_frame * 1_000_000_000
        out += [json.loads(m) for m in stream.step(text, now_ns, decide)]
    return out


def test_a_frame_is_answered_by_the_decision_of_its_group() -> None:
    stream = session({"probabilities": True})
    (decision,) = answers(stream, snapshot())
    assert decision == {
        "type": "decision", "frame": 1, "recv_ns": T0_NS + 1_000_000_000, "group": 0,
        "actions": {M: "BUY_YES"}, "confidence": 0.75, "tier": "lstm", "notes": ["cached", "deadline"],
        "model": MODEL.id, "probabilities": {M: [1, 0, 0, 0, 0]},
    }  # fmt: skip


def test_resuming_anywhere_shows_the_policy_what_it_would_have_been_shown(tmp_path) -> None:
    texts = texts_of(in_order(read_frames(simulated(tmp_path, messages_per_market=60, gap_share=1.0))))
    whole, policy = session(), Policy()
    unbroken = [m for text in texts for m in whole.step(text, 0, policy)]
    rng = np.random.default_rng(5)
    for cut in rng.integers(1, len(texts), 4).tolist():
        again, replayed = session({"decide_after": cut}), Policy()
        answered = [m for text in texts for m in again.step(text, 0, replayed)]
        late = [m for m in unbroken if json.loads(m)["frame"] > cut or json.loads(m)["type"] == "ack"]
        assert answered == late
        n = len(replayed.batches)
        for mine, theirs in zip(replayed.batches, policy.batches[-n:], strict=True):
            for a, b in zip(mine, theirs, strict=True):
                np.testing.assert_array_equal(a, b)
