"""Fuzz targets: frames that a client streams into a session, and that the exchange sends to our client.

Session   answers JSON or closes with a reason; books that the kernels read stay in range, features finite.
Client    every frame is counted, rows are in the format, no book is believed after its connection ended.
"""

import json

import numpy as np
from made.fuzzing import FindingError, check_counters, check_words, fuzz
from made.market_files import T0
from made.market_files import snapshot as book
from made.mutations import odd_bytes, odd_document
from made.odd_values import FRAMES
from made.stream_texts import MODEL, NOW_NS, T0_NS, M, Policy, answers, delta, line, session, snapshot

from kalshi_platform.serving.api.messages import OpenMessage
from kalshi_platform.serving.live.stream import StreamLimits, StreamSession
from kalshi_platform.trading.exchange import sink as kinds
from kalshi_platform.trading.exchange.decoding import DecodingSink

LIMITS = StreamLimits(max_refused=10_000, max_markets=4)
OWN = (
    *(json.loads(json.dumps(frame).replace("E-A", M)) for frame in FRAMES),
    json.loads(delta(2)),
    {"type": "account", "cash_e6": 10**8, "markets": {M: {"position_e2": 5, "opened_ns": T0_NS}}},
    {"type": "ack"},
    {"type": "open", "accept_missing_inputs": True},
)


def test_frames_into_a_session():
    def one(rng):
        stream = StreamSession("s", OpenMessage(type="open", accept_missing_inputs=True), MODEL, LIMITS)
        policy, refused = Policy(), ""
        for k in range(rng.randint(1, 8)):
            text = odd_document(rng, rng.choice(OWN)) if rng.randrange(4) else snapshot(k + 1)
            match rng.randrange(6):
                case 0:
                    text = line(T0_NS + rng.randint(-5, 10**9), text, rng.randint(0, 2))
                case 1:
                    text = odd_document(rng, json.loads(line(T0_NS + k, text)))
                case 2:
                    text = odd_bytes(rng, text.encode("utf-8", "replace")).decode("utf-8", "replace")
            for message in stream.step(text, NOW_NS + k, policy):
                told = json.loads(message)
                if told.get("type") == "refused":
                    refused = message
                    if len(message) > 1_000:
                        raise FindingError(f"a refusal of {len(message)} characters: {message[:200]}")
            if stream.closed:
                return refused or "closed"
        check_books(stream)
        for batch in policy.batches:
            if not np.isfinite(batch.flat).all():
                raise FindingError("a feature that is no number reached the policy")
        return refused

    assert answers(session(), snapshot(), delta(2), delta(3, change="-2.00"))  # compiles the kernels
    assert fuzz("session-frames", 300, one)["refused"]


def check_books(stream):
    """Refuse books that a kernel would read beyond its tables."""
    for group in stream.books.groups:
        rows = group.bank.rows
        for name in ("bid_px_e4", "ask_px_e4"):
            if (rows[name] < -1).any() or (rows[name] > 10_000).any():
                raise FindingError(f"{name} outside -1..10_000")
        if (rows["bid_qty_e2"] < -1).any():
            raise FindingError("a size below nothing")


def test_frames_from_the_exchange():
    tickers = ("E-A", "E-B", "E-C")

    def one(rng):
        sink = DecodingSink()
        n = 0
        for number, ticker in enumerate(tickers, 1):
            sink.message(1, T0 * 10**9 + number, number, b"", book(ticker, number))
        list(sink.rows())
        for k in range(rng.randint(1, 6)):
            frame = {**rng.choice(FRAMES)}
            if "seq" in frame and rng.randrange(3):
                frame["seq"] = 4 + k
            text = odd_document(rng, frame) if rng.randrange(5) else json.dumps(frame)
            raw = text.encode("utf-8", "surrogatepass")
            raw = odd_bytes(rng, raw) if rng.randrange(5) == 0 else raw
            try:
                message = json.loads(raw)
            except (ValueError, RecursionError):
                message = None
            at = (T0 + rng.randint(1, 9)) * 10**9
            sink.message(1, at, at, raw, message if isinstance(message, dict) else None)
            n += 1
        for _, rows in sink.rows():
            if ((rows.price_e4 < -1) | (rows.price_e4 > 10_000)).any() or (np.diff(rows.recv_ns) < 0).any():
                raise FindingError("rows outside the format")
        if sink.counters["frames"] != n + len(tickers):
            raise FindingError(f"{n} frames, {sink.counters['frames'] - len(tickers)} counted")
        check_counters(sink.counters)
        sink.note(1, T0 * 10**9, 0, kinds.DISCONNECTED, {})
        if sink.valid:
            raise FindingError("books are believed after the end of their connection")
        refused = sink.counters["refused_frames"] + sink.counters["frames_not_json_objects"]
        return "refused" if refused else ""

    counts = fuzz("client-frames", 400, one)
    assert counts["refused"]
    assert counts["taken"]


def test_what_is_checked_here_can_fail():
    for words in ("", "x" * 501):
        try:
            check_words(words)
        except FindingError:
            continue
        raise AssertionError(words[:20])
