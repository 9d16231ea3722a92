"""One WebSocket connection: its subscriptions, its numbers, and the frames that wait to be sent.

Numbers    ``seq`` counts per subscription; frames without one on the wire (ticker, private channels) leave
           the counter to the answers to commands.
Frames     are put together as bytes here and written many at a time: one write a slice, not one a frame.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

from kalshi_platform.trading.simserver.clock import SimClock
from kalshi_platform.trading.simserver.rate_bucket import RateBucket
from kalshi_platform.trading.simserver.stream.deflate import Deflater

#: Commands a second that one connection may send (simulated seconds), and markets that it may subscribe.
MOST_COMMANDS_S: Final = 10_000
MOST_MARKETS: Final = 500_000
#: First byte of a whole text frame, and its bit RSV1.
_TEXT, _COMPRESSED = 0x81, 0x40
#: Channel -> carries ``seq``.
CHANNELS: Final = {
    "orderbook_delta": True,
    "trade": True,
    "ticker": False,
    "market_lifecycle_v2": True,
    "multivariate_market_lifecycle": True,
    "fill": False,
    "user_orders": False,
    "market_positions": False,
    "order_group_updates": True,
    "communications": True,
}
#: Channels that cannot be narrowed to markets.
UNFILTERED: Final = frozenset(
    {"market_lifecycle_v2", "multivariate_market_lifecycle", "order_group_updates", "communications"}
)


@dataclass(slots=True, eq=False)
class ServedSubscription:
    """One ``sid`` of one connection."""

    sid: int
    channel: str
    tickers: set[str] | None  # None = all markets
    yes_price: bool = False
    seq: int = 0
    is_over: bool = False
    order: list[str] = field(default_factory=list)  # tickers in the order of subscribing

    def wants(self, ticker: str) -> bool:
        """True where the subscription covers the market."""
        return self.tickers is None or ticker in self.tickers


class FrameFaults(Protocol):
    """Planted faults of frames; see faults/frames.py."""

    is_armed: bool

    def pass_frame(
        self, connection: "ServedConnection", sub: ServedSubscription, ticker: str, frame: str
    ) -> Iterable[str]:
        """Return the frames to send instead of ``frame``."""

    def forget(self, connection: int) -> None:
        """Forget what is held back for a connection that ended."""


class ServedConnection:
    """Sender of one connection; the socket's own task reads."""

    def __init__(self, number: int, clock: SimClock, faults: FrameFaults) -> None:
        self.number = number
        self.subs: dict[int, ServedSubscription] = {}
        self.by_channel: dict[str, ServedSubscription] = {}
        self.is_mute = False  # half open: nothing is sent, read or answered any more
        self.waiting: list[str] = []
        self.n_sent = 0
        self.commands = RateBucket(MOST_COMMANDS_S, 1, clock.now_ns)
        self.most_unsent: int | None = None  # bytes at which it is cut, while it reads too slowly
        self.deflater: Deflater | None = None  # set where the client offered compression
        self._clock, self._faults = clock, faults
        self._next_sid = 1

    def has_commands(self) -> bool:
        """Take one command out of the connection's budget; False where it is spent."""
        if not self.commands.has(1, self._clock.now_ns):
            return False
        self.commands.take(1)
        return True

    @property
    def n_markets(self) -> int:
        """Number of market subscriptions; one to all markets counts as none."""
        return sum(len(sub.tickers or ()) for sub in self.subs.values())

    def subscribe(self, channel: str, tickers: list[str] | None, *, yes_price: bool) -> ServedSubscription:
        """Make a new subscription."""
        known = None if tickers is None else set(tickers)
        sub = ServedSubscription(self._next_sid, channel, known, yes_price, order=list(tickers or ()))
        self._next_sid += 1
        self.subs[sub.sid] = self.by_channel[channel] = sub
        return sub

    def end(self, sub: ServedSubscription) -> None:
        """Forget a subscription."""
        sub.is_over = True
        self.subs.pop(sub.sid, None)
        if self.by_channel.get(sub.channel) is sub:
            del self.by_channel[sub.channel]

    def tell(
        self, sub: ServedSubscription, kind: str, body: str, ticker: str = "", command_id: int = 0
    ) -> None:
        """Queue a data frame of a subscription; ``body`` is the JSON of ``msg``."""
        numbered = ""
        if CHANNELS[sub.channel]:
            sub.seq += 1
            numbered = f'"seq":{sub.seq},'
        asked = f'"id":{command_id},' if command_id else ""
        head = f'{asked}"type":"{kind}","sid":{sub.sid},{numbered}"sending_ts_ms":{self._clock.now_ms}'
        frame = f'{{{head},"msg":{body}}}'
        if self._faults.is_armed:
            self.waiting.extend(self._faults.pass_frame(self, sub, ticker, frame))
        else:
            self.waiting.append(frame)

    def answer(self, text: str) -> None:
        """Queue a frame that answers a command."""
        self.waiting.append(text)

    def next_seq(self, sub: ServedSubscription) -> int:
        """Use up a number of a subscription for an answer."""
        sub.seq += 1
        return sub.seq

    def take(self) -> bytes:
        """Return the waiting frames as bytes for the socket."""
        self.n_sent += len(self.waiting)
        data = framed(self.waiting, self.deflater)
        self.waiting.clear()
        return data


def framed(texts: list[str], deflater: Deflater | None = None) -> bytes:
    """Text frames of the WebSocket protocol, unmasked and whole, one after another."""
    first = _TEXT if deflater is None else _TEXT | _COMPRESSED
    parts: list[bytes] = []
    for text in texts:
        body = text.encode()
        if deflater is not None:
            body = deflater.message(body)
        n = len(body)
        if n < 126:
            parts.append(bytes((first, n)))
        elif n < 65_536:
            parts.append(bytes((first, 126)) + n.to_bytes(2, "big"))
        else:
            parts.append(bytes((first, 127)) + n.to_bytes(8, "big"))
        parts.append(body)
    return b"".join(parts)
