"""One channel of a connection: what is wanted of it, what the exchange took, and the command on its way.

Pace     one command at a time; the next one goes out when the exchange answered, at most ``batch`` markets
each. Refused  a market that the exchange refuses is found by halving the batch, told, and left alone until
         the next connection: one bad ticker spoils no other.
Pause    after a failure, doubling and drawn, so that a channel that ends again and again is not hammered.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import numpy as np

from kalshi_platform.domain.json_text import json_text
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.trading.exchange.stream_settings import BOOK_CHANNEL, ExchangeStreamSettings

#: Failures of one channel after which the whole connection is made anew.
FAILURES_BEFORE_RECONNECT: Final = 6


class Action(StrEnum):
    """Commands that the client sends."""

    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"
    ADD = "add_markets"
    DELETE = "delete_markets"
    SNAPSHOT = "get_snapshot"
    LIST = "list_subscriptions"


@dataclass(frozen=True, slots=True)
class Command:
    """One command on its way; ``channel`` is empty for a command about the whole connection."""

    number: int
    action: Action
    channel: str
    tickers: tuple[str, ...]
    params: dict[str, Any]
    sent_ns: int

    @property
    def cmd(self) -> str:
        """Name of the command on the wire."""
        updates = (Action.ADD, Action.DELETE, Action.SNAPSHOT)
        return "update_subscription" if self.action in updates else self.action.value

    def text(self) -> str:
        """JSON text of the command."""
        params = {"params": self.params} if self.params else {}
        return json_text({"id": self.number, "cmd": self.cmd, **params}, tight=True)


@dataclass(slots=True)
class Channel:
    """State of one channel on one connection."""

    name: str
    by_market: bool
    settings: ExchangeStreamSettings
    rng: np.random.Generator
    sid: int | None = None
    held: dict[str, None] = field(default_factory=dict)  # markets that the exchange took
    refused: set[str] = field(default_factory=set)  # markets that it did not
    on_way: Command | None = None
    batch: int = 0
    not_before_ns: int = 0
    failures: int = 0  # in a row
    unanswered: int = 0  # commands, in a row
    is_left: bool = False  # the exchange refuses the channel itself

    def __post_init__(self) -> None:
        self.batch = self.settings.batch_markets

    @property
    def is_book(self) -> bool:
        """True for the channel of books."""
        return self.name == BOOK_CHANNEL

    def next_step(self, wanted: Mapping[str, None], now_ns: int) -> tuple[Action, tuple[str, ...]] | None:
        """Next command and its markets; None where nothing is to be done now."""
        if self.on_way is not None or self.is_left or now_ns < self.not_before_ns:
            return None
        if not self.by_market:
            return (Action.SUBSCRIBE, ()) if self.sid is None else None
        if not wanted:
            # Deleting every market could leave a subscription to all of them.
            return None if self.sid is None else (Action.UNSUBSCRIBE, ())
        missing = [t for t in wanted if t not in self.held and t not in self.refused]
        if self.sid is None:
            return (Action.SUBSCRIBE, tuple(missing[: self.batch])) if missing else None
        if missing:
            return Action.ADD, tuple(missing[: self.batch])
        extra = [ticker for ticker in self.held if ticker not in wanted]
        return (Action.DELETE, tuple(extra[: self.batch])) if extra else None

    def params(self, action: Action, tickers: tuple[str, ...]) -> dict[str, Any]:
        """Parameters of a command, exactly as they are sent."""
        markets: dict[str, Any] = {"market_tickers": list(tickers)} if tickers else {}
        if action is Action.SUBSCRIBE:
            scale = {"use_yes_price": self.settings.use_yes_price} if self.is_book else {}
            return {"channels": [self.name], **markets, **scale}
        if action is Action.UNSUBSCRIBE:
            return {"sids": [self.sid]}
        return {"sids": [self.sid], "action": action.value, **markets}

    def succeed(self) -> None:
        """Take note that a command was carried out."""
        self.failures = self.unanswered = 0
        self.batch = min(self.batch * 2, self.settings.batch_markets)

    def fail(self, now_ns: int) -> None:
        """Take note of a failure: the next command waits."""
        settings = self.settings
        longest_s = min(settings.first_pause_s * 2.0**self.failures, settings.longest_pause_s)
        self.failures += 1
        self.not_before_ns = now_ns + round(longest_s * float(self.rng.uniform(0.5, 1.0)) * NS_PER_SECOND)

    def split(self, tickers: tuple[str, ...]) -> bool:
        """Halve the next batch after a refusal; True where a single market was refused, which is then
        left."""
        if len(tickers) == 1:
            self.refused.add(tickers[0])
            return True
        self.batch = max(len(tickers) // 2, 1)
        return False

    def end(self) -> tuple[str, ...]:
        """Forget the subscription, and return the markets that it held."""
        held = tuple(self.held)
        self.sid, self.on_way = None, None
        self.held.clear()
        return held
