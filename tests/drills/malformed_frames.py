"""100,000 malformed frames over a real socket: nothing crashes, every one is counted.

    python tests/drills/malformed_frames.py [NUMBER]

Prints one JSON object: frames sent, received, unreadable, refused, by type. Ends with 1 where one is missing.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from made.exchange_stream import KeptSink, streaming, until
from made.malformed_frames import malformed

from kalshi_platform.trading.exchange.decoding import DecodingSink

TICKERS = ["KXA-26NOV23-T1", "KXA-26NOV23-T2", "KXB-26NOV23-T3"]


class Counting(KeptSink):
    """Sink that decodes, and keeps counts only."""

    def __init__(self) -> None:
        super().__init__()
        self.n = 0
        self.decoding = DecodingSink()

    def message(self, conn: int, recv_ns: int, mono_ns: int, raw: bytes, message: object) -> None:
        self.n += 1
        self.decoding.message(conn, recv_ns, mono_ns, raw, message if isinstance(message, dict) else None)
        if self.n % 1_000 == 0:
            list(self.decoding.rows())

    def note(self, conn: int, recv_ns: int, mono_ns: int, kind: str, detail: dict[str, object]) -> None:
        self.decoding.counters[f"note:{kind}"] += 1
        self.decoding.note(conn, recv_ns, mono_ns, kind, detail)


async def main(n: int) -> int:
    """Send ``n`` frames; 0 where all are accounted for."""
    began_s = time.perf_counter()
    # One connection throughout, so that what was sent can be held against what came.
    patient = {"gaps_before_reconnect": 10**9, "command_timeout_s": 3_600, "queue_frames": 10**6}
    async with streaming(Counting(), market_channels=("orderbook_delta",), **patient) as it:
        await it.subscribed(TICKERS)
        it.exchange.silent_to |= {"get_snapshot", "subscribe", "add_markets"}
        before, sent = it.sink.n, 0
        for frame in malformed(n, TICKERS, 1, it.exchange.seq[1]):
            await it.exchange.socket.send(frame.decode("utf-8", "replace"))
            sent += 1
        await until(lambda: it.sink.n - before >= sent, 120)
        counters, received = dict(it.stream.counters), it.sink.n - before
        decoded = it.sink.decoding.counters
    counted = sum(v for k, v in counters.items() if k.startswith(("messages:", "unknown_type:")))
    counted += counters.get("unreadable_frames", 0)
    whole = received == sent == n and counted == it.sink.n == decoded["frames"]
    unknown = sum(v for k, v in counters.items() if k.startswith("unknown_type:"))
    print(json.dumps({
        "sent": sent, "received": received, "counted": counted, "unreadable": counters["unreadable_frames"],
        "refused_by_the_decoder": decoded["refused_frames"], "unknown_types": unknown,
        "gaps": counters.get("gaps"), "connections": decoded["note:connected"],
        "seconds": round(time.perf_counter() - began_s, 1), "whole": whole,
    }))  # fmt: skip
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)))
