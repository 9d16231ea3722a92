"""The simulated exchange in a process of its own, with a witness: a log of its books and its frames.

Run    python -m made.witness_exchange KEYS LOG CONFIG    (CONFIG: ServerConfig as JSON)
Tells  ``{"served": addresses}`` on stdout, one JSON object; then ``{"marked": n}`` for each mark.
Hears  on stdin, a JSON object a line: ``{"mark": n}`` writes the log to the disk; with ``"log": path``
       another log begins; ``{"lie": ticker}`` lets the stream tell the next rise of the best bid's size of a
       market wrongly, by one contract, once.
Log    JSON lists, in order. ``["v", ticker, version]`` how many changes lie before the log.
       ``["c", mono_ns, ticker, side, price_e4, change_e2]`` a change of a true book (side 0 = bids, 1 = asks,
       prices on the YES scale); ``["b", ticker, version, bids, asks]`` the core's book, where a snapshot was
       told; ``["t", conn, sid, seq, ticker, version]`` the number of a book frame and the version (count of
       changes) of the book that it tells; ``["s", conn, mono_ns, texts]`` frames handed to a socket;
       ``["l", mono_ns, ticker]`` the lie.
"""

import asyncio
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kalshi_platform.trading.simserver import server as server_module
from kalshi_platform.trading.simserver.config import ServerConfig
from kalshi_platform.trading.simserver.stream.connection import ServedConnection, ServedSubscription
from kalshi_platform.trading.simserver.stream.hub import FrameHub
from kalshi_platform.trading.simserver.venue.market import ServedMarket

_BOOK = "orderbook_delta"


class Witness:
    """Writer of the log."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w")
        self.versions: Counter[str] = Counter()
        self.lies: set[str] = set()

    def write(self, *entry: Any) -> None:
        """Write one entry."""
        self._file.write(json.dumps(entry, separators=(",", ":")) + "\n")

    def flush(self) -> None:
        """Hand the log to the disk."""
        self._file.flush()

    def begin(self, path: Path) -> None:
        """Begin another log."""
        self._file.close()
        self._file = path.open("w")
        for ticker, version in self.versions.items():
            self.write("v", ticker, version)


class WitnessConnection(ServedConnection):
    """Connection that writes down what it numbers and what it sends."""

    witness: Witness

    def tell(
        self, sub: ServedSubscription, kind: str, body: str, ticker: str = "", command_id: int = 0
    ) -> None:
        """Queue a data frame; its number stands before it in the log."""
        if sub.channel == _BOOK:
            version = self.witness.versions[ticker]
            self.witness.write("t", self.number, sub.sid, sub.seq + 1, ticker, version)
        super().tell(sub, kind, body, ticker, command_id)

    def take(self) -> bytes:
        """Frames for the socket."""
        self.witness.write("s", self.number, time.monotonic_ns(), self.waiting)
        return super().take()


class WitnessHub(FrameHub):
    """Hub that writes down every change of every book."""

    witness: Witness

    def connect(self) -> ServedConnection:
        """Begin a connection."""
        connection = WitnessConnection(self._next, self._clock, self._faults)
        connection.witness = self.witness
        self._next += 1
        self.connections[connection.number] = connection
        return connection

    def delta(
        self, market: ServedMarket, side: int, price_e4: int, change_e2: int, time_ns: int, cause: Any
    ) -> None:
        """Tell a change of a book."""
        witness = self.witness
        witness.versions[market.ticker] += 1
        witness.write("c", time.monotonic_ns(), market.ticker, side, price_e4, change_e2)
        if side == 0 and change_e2 > 0 and market.ticker in witness.lies and price_e4 == market.top()[0]:
            witness.lies.discard(market.ticker)
            witness.write("l", time.monotonic_ns(), market.ticker)
            change_e2 += 100
        super().delta(market, side, price_e4, change_e2, time_ns, cause)

    def snapshot(
        self, connection: ServedConnection, sub: ServedSubscription, market: ServedMarket, command_id: int = 0
    ) -> None:
        """Send a whole book."""
        bids = market.levels("bid")
        asks = [(10_000 - own, qty) for own, qty in market.levels("ask")]
        self.witness.write("b", market.ticker, self.witness.versions[market.ticker], bids, asks)
        super().snapshot(connection, sub, market, command_id)


def hear(loop: asyncio.AbstractEventLoop, act: Callable[[dict[str, Any]], None]) -> None:
    """Let ``act`` take each line of stdin on ``loop``, for ever."""

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(act, json.loads(line))

    threading.Thread(target=read, daemon=True).start()


async def main(keys: Path, log: Path, config: dict[str, Any]) -> None:
    """Serve until killed."""
    witness = Witness(log)
    WitnessHub.witness = witness
    server_module.FrameHub = WitnessHub  # type: ignore[misc]
    server = server_module.Server(ServerConfig.parse({"tier": "prestige", **config}), keys)

    def act(command: dict[str, Any]) -> None:
        if "lie" in command:
            witness.lies.add(command["lie"])
        witness.flush()
        if "log" in command:
            witness.begin(Path(command["log"]))
        print(json.dumps({"marked": command.get("mark")}), flush=True)

    async with server.serving("127.0.0.1", 0) as served:
        print(json.dumps({"served": served._asdict()}), flush=True)
        hear(asyncio.get_running_loop(), act)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])))
