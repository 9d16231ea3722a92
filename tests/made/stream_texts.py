"""Texts of a stream and a policy that answers them, for tests."""

import json

import numpy as np

from kalshi_platform.domain.actions import BUY_YES, HOLD
from kalshi_platform.serving.api.messages import OpenMessage
from kalshi_platform.serving.inference.batch import Batch, Decisions, Note, Tier, holding
from kalshi_platform.serving.live.stream import StreamLimits, StreamSession
from kalshi_platform.simulation.replay.trading import TradingConfig
from made.live_capture import ALL_GROUPS
from made.served import reading

TRADING = TradingConfig(n_slots=3, groups=ALL_GROUPS)
MODEL = reading(TRADING, 8, "l1-0123456789ab")
T0_NS = 1_700_000_000_000_000_000
#: A server's clock after every recording that tests make: 2027.
NOW_NS = 1_800_000_000_000_000_000
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
        decisions.tier[:] = Tier.TIER_2
        decisions.notes[:] = Note.CACHED | Note.DEADLINE
        return decisions


def session(opening=None, **limits) -> StreamSession:
    opening = OpenMessage.parse({"type": "open", "accept_missing_inputs": True, **(opening or {})})
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
    """What a stream answers to frames a second apart, starting where it stands; ``placed`` left out."""
    decide = decide or Policy()
    out = []
    for text in texts:
        now_ns = T0_NS + stream.next_frame * 1_000_000_000
        out += [json.loads(m) for m in stream.step(text, now_ns, decide)]
    return [message for message in out if message["type"] != "placed"]
