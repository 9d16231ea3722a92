"""Commands of a WebSocket client: subscribe, update_subscription, unsubscribe, list_subscriptions.

Answers    come before the data that they bring. ``ok``, ``unsubscribed`` and errors of a subscription use up
           its numbers; ``subscribed`` and errors of the connection do not.
"""

from collections.abc import Callable
from typing import Any, Final

from kalshi_platform.domain.json_text import json_text, json_value
from kalshi_platform.trading.simserver.stream.connection import (
    CHANNELS,
    MOST_MARKETS,
    UNFILTERED,
    ServedConnection,
    ServedSubscription,
)
from kalshi_platform.trading.simserver.stream.hub import FrameHub
from kalshi_platform.trading.simserver.venue.market import ServedMarket
from kalshi_platform.trading.simserver.venue.venue import LiveVenue

ERRORS: Final = {
    1: "Unable to process message",
    2: "Params required",
    3: "Channels required",
    4: "Subscription IDs required",
    5: "Unknown command",
    7: "Unknown subscription ID",
    8: "Unknown channel name",
    9: "Authentication required",
    10: "Channel error",
    11: "Invalid parameter",
    12: "Exactly one subscription ID is required",
    13: "Unsupported action",
    14: "Market Ticker required",
    15: "Action required",
    18: "Command timeout",
    25: "Subscription buffer overflow",
    26: "Per-subscription market limit exceeded",
    27: "Command rate limit exceeded",
}


class CommandRefused(Exception):  # noqa: N818 - it carries the exchange's number, not a fault of ours
    """A command that is answered with an error frame."""

    def __init__(
        self, code: int, sub: ServedSubscription | None = None, tickers: list[str] | None = None
    ) -> None:
        super().__init__(ERRORS[code])
        self.code, self.sub, self.tickers = code, sub, tickers


class SocketCommands:
    """Reader of the commands of all connections."""

    def __init__(self, venue: LiveVenue, hub: FrameHub) -> None:
        self._venue, self._hub = venue, hub
        self._acts: dict[str, Callable[[ServedConnection, int, dict[str, Any]], None]] = {
            "subscribe": self._subscribe,
            "update_subscription": self._update,
            "unsubscribe": self._unsubscribe,
            "list_subscriptions": self._list,
        }

    def read(self, connection: ServedConnection, text: str) -> None:
        """Do one command and queue its answers."""
        try:
            command = json_value(text)
        except ValueError:
            command = None
        if not isinstance(command, dict):
            self.refuse(connection, 0, CommandRefused(1))
            return
        number = command.get("id", 0)
        number = number if isinstance(number, int) and not isinstance(number, bool) else 0
        try:
            self._act(connection, number, command)
        except CommandRefused as refused:
            self.refuse(connection, number, refused)

    def _act(self, connection: ServedConnection, number: int, command: dict[str, Any]) -> None:
        if not connection.has_commands():
            raise CommandRefused(27)
        name, params = command.get("cmd"), command.get("params")
        act = self._acts.get(name) if isinstance(name, str) else None
        if act is None:
            raise CommandRefused(5)
        if params is None and name != "list_subscriptions":
            raise CommandRefused(2)
        if not isinstance(params or {}, dict):
            raise CommandRefused(11)
        act(connection, number, params or {})

    def refuse(self, connection: ServedConnection, number: int, refused: CommandRefused) -> None:
        """Queue an error frame; one of a subscription uses up its number."""
        body: dict[str, Any] = {"code": refused.code, "msg": ERRORS[refused.code]}
        if refused.tickers:
            body["market_tickers"] = refused.tickers
        frame: dict[str, Any] = {"id": number} if number else {}
        frame["type"] = "error"
        if refused.sub is not None:
            frame |= {"sid": refused.sub.sid, "seq": connection.next_seq(refused.sub)}
        connection.answer(json_text(frame | {"msg": body}, tight=True))

    def overflow(self, connection: ServedConnection, sub: ServedSubscription, code: int = 25) -> None:
        """End a subscription with an error that the client must answer by subscribing anew."""
        self.refuse(connection, 0, CommandRefused(code, sub))
        self._hub.end(connection, sub)

    # Acts

    def _subscribe(self, connection: ServedConnection, number: int, params: dict[str, Any]) -> None:
        channels = params.get("channels")
        if not isinstance(channels, list) or not channels:
            raise CommandRefused(3)
        if not all(isinstance(channel, str) and channel in CHANNELS for channel in channels):
            raise CommandRefused(8)
        tickers = self._tickers(params)
        if "orderbook_delta" in channels and not tickers:
            raise CommandRefused(14)
        for name in ("use_yes_price", "send_initial_snapshot", "skip_ticker_ack"):
            if not isinstance(params.get(name, False), bool):
                raise CommandRefused(11)
        narrowed = [channel for channel in channels if channel not in UNFILTERED]
        self._require_room(connection, len(tickers or ()) * len(narrowed))
        for channel in channels:
            self._subscribe_one(connection, number, channel, tickers, params)

    def _subscribe_one(
        self,
        connection: ServedConnection,
        number: int,
        channel: str,
        tickers: list[str] | None,
        params: dict[str, Any],
    ) -> None:
        known = connection.by_channel.get(channel)
        wanted = None if channel in UNFILTERED else tickers
        if known is not None:
            fresh = self._merge(known, wanted)
            self._ok(connection, number, known)
            self._begin(connection, known, fresh, snapshot=channel == "orderbook_delta")
            return
        sub = connection.subscribe(channel, wanted, yes_price=params.get("use_yes_price", False))
        body = {"id": number} if number else {}
        told = {"channel": channel, "sid": sub.sid}
        connection.answer(json_text(body | {"type": "subscribed", "msg": told}, tight=True))
        snapshot = channel == "orderbook_delta" or (
            channel == "ticker" and bool(params.get("send_initial_snapshot"))
        )
        self._begin(connection, sub, wanted or [], snapshot=snapshot)

    def _require_room(self, connection: ServedConnection, n_more: int) -> None:
        """Refuse subscriptions to more markets than one session may have."""
        if connection.n_markets + n_more > MOST_MARKETS:
            raise CommandRefused(26)

    def _begin(
        self, connection: ServedConnection, sub: ServedSubscription, tickers: list[str], *, snapshot: bool
    ) -> None:
        """Let a subscription hear of markets, after what they are now where it wants that."""
        if snapshot:
            self._snapshots(connection, sub, tickers, 0)
        self._hub.listen(connection, sub, tickers)

    def _snapshots(
        self, connection: ServedConnection, sub: ServedSubscription, tickers: list[str], number: int
    ) -> None:
        for market in filter(None, map(self._venue.find, tickers)):
            if sub.channel == "orderbook_delta":
                self._hub.snapshot(connection, sub, market, number)
            elif sub.channel == "ticker":
                connection.tell(sub, "ticker", self._hub.ticker_body(market), market.ticker, number)

    def _merge(self, sub: ServedSubscription, tickers: list[str] | None) -> list[str]:
        """Add markets to a subscription; returns those that are new to it."""
        if sub.tickers is None or tickers is None:
            sub.tickers = None
            return []
        fresh = [ticker for ticker in tickers if ticker not in sub.tickers]
        sub.tickers.update(fresh)
        sub.order.extend(fresh)
        return fresh

    def _ok(self, connection: ServedConnection, number: int, sub: ServedSubscription) -> None:
        frame: dict[str, Any] = {"id": number} if number else {}
        frame |= {"type": "ok", "sid": sub.sid, "seq": connection.next_seq(sub)}
        connection.answer(json_text(frame | {"msg": {"market_tickers": sub.order}}, tight=True))

    def _update(self, connection: ServedConnection, number: int, params: dict[str, Any]) -> None:
        sub = self._one_sub(connection, params)
        action = params.get("action")
        if not action:
            raise CommandRefused(15)
        if action not in ("add_markets", "delete_markets", "get_snapshot"):
            raise CommandRefused(13)
        tickers = self._tickers(params)
        if tickers is None:
            raise CommandRefused(14, sub)
        if not isinstance(params.get("send_initial_snapshot", False), bool):
            raise CommandRefused(11, sub)
        if action == "get_snapshot":
            if sub.channel not in ("orderbook_delta", "ticker"):
                raise CommandRefused(13, sub)  # no other channel has anything to show at once
            self._snapshots(connection, sub, [t for t in tickers if sub.wants(t)], number)
            return
        if action == "add_markets":
            self._require_room(connection, len(tickers))
            fresh = self._merge(sub, tickers)
            self._ok(connection, number, sub)
            wants = sub.channel == "orderbook_delta" or bool(params.get("send_initial_snapshot"))
            self._begin(connection, sub, fresh, snapshot=wants)
            return
        self._delete(sub, tickers)
        self._ok(connection, number, sub)

    def _delete(self, sub: ServedSubscription, tickers: list[str]) -> None:
        if sub.tickers is not None:
            sub.tickers.difference_update(tickers)
            sub.order[:] = [ticker for ticker in sub.order if ticker in sub.tickers]
        if sub.channel == "orderbook_delta":
            self._hub.unlisten(sub, tickers)

    def _unsubscribe(self, connection: ServedConnection, number: int, params: dict[str, Any]) -> None:
        sids = params.get("sids")
        if not isinstance(sids, list) or not sids:
            raise CommandRefused(4)
        if not all(_is_sid(sid, connection) for sid in sids):
            raise CommandRefused(7)
        for sid in dict.fromkeys(sids):
            sub = connection.subs[sid]
            frame: dict[str, Any] = {"id": number} if number else {}
            frame |= {"type": "unsubscribed", "sid": sid, "seq": connection.next_seq(sub)}
            connection.answer(json_text(frame, tight=True))
            self._hub.end(connection, sub)

    def _list(self, connection: ServedConnection, number: int, params: dict[str, Any]) -> None:
        subs = [{"channel": sub.channel, "sid": sub.sid} for sub in connection.subs.values()]
        frame: dict[str, Any] = {"id": number} if number else {}
        connection.answer(json_text(frame | {"type": "ok", "msg": subs}, tight=True))

    # Parameters

    def _one_sub(self, connection: ServedConnection, params: dict[str, Any]) -> ServedSubscription:
        sids = params.get("sids")
        if "sid" in params and "sids" not in params:
            sids = [params["sid"]]
        if not sids:
            raise CommandRefused(4)
        if not isinstance(sids, list) or len(sids) != 1 or ("sid" in params and "sids" in params):
            raise CommandRefused(12)
        if not _is_sid(sids[0], connection):
            raise CommandRefused(7)
        return connection.subs[sids[0]]

    def _tickers(self, params: dict[str, Any]) -> list[str] | None:
        """Return the markets named by ticker or id, once each; None where none are named."""
        found: list[str] = []
        for one, many in (("market_ticker", "market_tickers"), ("market_id", "market_ids")):
            named = params.get(many, [])
            if one in params:
                named = [params[one]]
            if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
                raise CommandRefused(11)
            found += named if one == "market_ticker" else self._by_id(named)
        return list(dict.fromkeys(found)) or None

    def _by_id(self, ids: list[str]) -> list[str]:
        wanted = set(ids)
        markets: list[ServedMarket] = self._venue.all_markets() if wanted else []
        return [market.ticker for market in markets if market.market_id in wanted]


def _is_sid(sid: object, connection: ServedConnection) -> bool:
    """True for the number of a subscription of this connection."""
    return isinstance(sid, int) and not isinstance(sid, bool) and sid in connection.subs
