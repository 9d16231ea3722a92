"""Subscriptions of one connection as a machine without a socket: messages go in, commands and notes come out.

Owns       the channels with their markets, the commands on their way, the numbers of every sid, the books
           that are awaited.
Invariant  a hole in the numbers of the book channel's sid puts every one of its books on the list of books to
           ask for; the same tracker (data/market_data/sequence.py) makes the door's books invalid.
Time       monotonic ns, given by the caller.
Counted    every message by its type, unknown types by name, unreadable frames, gaps, repeats.
Not here   the socket, pings, silence (websocket.py); what a frame means to a market (data/market_data).
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np

from kalshi_platform.data.market_data import frames as wire
from kalshi_platform.data.market_data.schema import NO_SEQ
from kalshi_platform.data.market_data.sequence import Arrival, SequenceTracker, weight_of
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.trading.exchange import sink as kinds
from kalshi_platform.trading.exchange.book_requests import BookRequests
from kalshi_platform.trading.exchange.channels import FAILURES_BEFORE_RECONNECT, Action, Channel, Command
from kalshi_platform.trading.exchange.message_types import (
    DATA_TYPES,
    KNOWN_COUNTERS,
    counter_of,
    numbers_of,
)
from kalshi_platform.trading.exchange.stream_errors import Reaction, reaction_to
from kalshi_platform.trading.exchange.stream_settings import BOOK_CHANNEL, ExchangeStreamSettings

#: Takes the kind and the detail of one note.
Note = Callable[[str, dict[str, object]], None]
Message = dict[str, Any]

_LOST_STREAM: Final = 7


class Subscriptions:
    """Subscriptions that are wanted, and how far one connection has them."""

    def __init__(self, settings: ExchangeStreamSettings, rng: np.random.Generator, note: Note) -> None:
        self._settings, self._rng, self._note = settings, rng, note
        self.wanted: dict[str, None] = {}
        self.counters: Counter[str] = Counter()
        self.books = BookRequests(settings.resync_pause_s, settings.snapshot_timeout_s)
        self._number = 0
        self.begin()

    def begin(self) -> None:
        """Begin a connection: sids, numbers and books of the one before mean nothing."""
        settings = self._settings
        names = [(name, True) for name in settings.market_channels]
        names += [(name, False) for name in settings.global_channels]
        self.channels = {name: Channel(name, by_market, settings, self._rng) for name, by_market in names}
        self._commands: dict[int, Command] = {}
        self._sequence = SequenceTracker()
        self._last: dict[int, int] = {}  # sid -> last number
        self.books.clear()
        self._gaps_in_row = 0
        self._is_settled = False  # nothing to command until something changes
        self._wake_ns = 0
        self.reconnect_why: str | None = None

    # Wishes

    def add(self, tickers: Iterable[str]) -> None:
        """Want these markets too."""
        self.wanted.update(dict.fromkeys(tickers))
        self._is_settled = False

    def remove(self, tickers: Iterable[str]) -> None:
        """Want these markets no longer."""
        gone = list(tickers)
        for ticker in gone:
            self.wanted.pop(ticker, None)
        self.books.forget(gone)
        self._is_settled = False

    def request_books(self, tickers: Iterable[str]) -> None:
        """Ask for whole books of markets that the book channel holds; others come with their subscription.

        One that is awaited already keeps its pace.
        """
        book = self.channels.get(BOOK_CHANNEL)
        if book is not None:
            self.books.need([t for t in tickers if t in book.held and t not in self.books])

    def request_all_books(self) -> None:
        """Ask for every book that this connection holds."""
        book = self.channels.get(BOOK_CHANNEL)
        if book is not None:
            self.books.need(book.held)

    # Commands out

    def due(self, now_ns: int) -> list[str]:
        """Texts of the commands to send now."""
        self._expire(now_ns)
        texts = []
        if not self._is_settled or now_ns >= self._wake_ns:
            self._is_settled, self._wake_ns = True, now_ns + NS_PER_SECOND
            for channel in self.channels.values():
                step = channel.next_step(self.wanted, now_ns)
                if step is not None:
                    channel.on_way = self._command(step[0], channel, step[1], now_ns)
                    texts.append(channel.on_way.text())
        if len(self.books):
            texts += self._book_requests(now_ns)
        return texts

    def probe(self, now_ns: int) -> str:
        """Text of the command that asks the exchange what it sends on this connection."""
        return self._command(Action.LIST, None, (), now_ns).text()

    def _book_requests(self, now_ns: int) -> list[str]:
        """Texts of the commands that ask for whole books."""
        book = self.channels[BOOK_CHANNEL]
        if book.sid is None:
            return []
        asked, told = self.books.due(now_ns)
        if told:
            message = "no snapshot came; the books stay invalid, and are asked for more and more rarely"
            self._refused("update_subscription", {"action": "get_snapshot", "market_tickers": told}, message)
        texts = []
        for start in range(0, len(asked), self._settings.batch_markets):
            some = tuple(asked[start : start + self._settings.batch_markets])
            texts.append(self._command(Action.SNAPSHOT, book, some, now_ns).text())
            self._note(kinds.RESYNC, {"sid": book.sid, "tickers": list(some)})
        return texts

    def _command(
        self, action: Action, channel: Channel | None, tickers: tuple[str, ...], now_ns: int
    ) -> Command:
        """Command with a number of its own, remembered until it is answered."""
        self._number += 1
        params = channel.params(action, tickers) if channel else {}
        name = channel.name if channel else ""
        command = Command(self._number, action, name, tickers, params, now_ns)
        self._commands[command.number] = command
        return command

    def _expire(self, now_ns: int) -> None:
        """Give up commands that nobody answered; the wish that made them makes them again."""
        oldest_ns = now_ns - round(self._settings.command_timeout_s * NS_PER_SECOND)
        late = [each for each in self._commands.values() if each.sent_ns <= oldest_ns]
        for command in late:
            del self._commands[command.number]
            if command.action is Action.SNAPSHOT:
                continue  # snapshots answer it, with its number or without: book_requests.py waits for them
            if command.action is Action.LIST:
                self.reconnect_why = "no answer to list_subscriptions"
                continue
            self._refused(command.cmd, command.params, "no answer")
            channel = self.channels[command.channel]
            channel.on_way, self._is_settled = None, False
            channel.unanswered += 1
            if channel.unanswered >= self._settings.command_tries:
                self.reconnect_why = f"{channel.unanswered} commands in a row without answer"

    # Messages in

    def take(self, message: Message, content: int, now_ns: int) -> None:
        """Take one message; ``content`` is the hash of its text. Notes are made at once."""
        kind = message.get("type")
        name = kind if isinstance(kind, str) else ""
        sid: Any = message.get("sid")
        seq: Any = message.get("seq")
        if not wire.are_plain(sid, seq):
            try:
                sid, seq = numbers_of(message)
            except DataError as err:
                self.unreadable(str(err), str(message)[:80])
                return
        self.counters[KNOWN_COUNTERS.get(name) or counter_of(name, self.counters)] += 1
        if seq != NO_SEQ and not self._in_order(sid, seq, content, name):
            return
        msg = message.get("msg")
        if name == "orderbook_snapshot":
            if isinstance(msg, dict) and isinstance(ticker := msg.get("market_ticker"), str):
                self.books.came(ticker)
                if not len(self.books):
                    self._gaps_in_row = 0
        elif name not in DATA_TYPES:
            self._control(name, message, msg, sid, now_ns)

    def unreadable(self, why: str, beginning: str) -> None:
        """Take note of a frame that nobody can read: it may have been about any book, so all are asked
        for."""
        self.counters["unreadable_frames"] += 1
        self._note(kinds.UNREADABLE, {"why": why, "beginning": beginning})
        self.request_all_books()

    def _in_order(self, sid: int, seq: int, content: int, name: str) -> bool:
        """Take a message's number; False where the message is a repeat, or late: its hole is told already."""
        arrival, _ = self._sequence.observe((0, sid), seq, content, weight_of(name))
        if arrival is Arrival.REPEAT:
            self.counters["repeats"] += 1
            return False
        if arrival is Arrival.LATE:
            self.counters["late"] += 1
            return False
        last, self._last[sid] = self._last.get(sid), seq
        if arrival is not Arrival.NEXT:
            self.counters["gaps"] += 1
            self._note(kinds.GAP, {"sid": sid, "expected": (last or 0) + 1, "got": seq})
            self._gap_of(sid)
        return True

    def _gap_of(self, sid: int) -> None:
        """Ask for the books of a subscription that lost messages; too many gaps in a row end the
        connection."""
        book = self.channels.get(BOOK_CHANNEL)
        if book is None or book.sid != sid:
            return
        self.books.need(book.held)
        self._gaps_in_row += 1
        if self._gaps_in_row >= self._settings.gaps_before_reconnect:
            self.reconnect_why = f"{self._gaps_in_row} gaps in a row"

    # Answers

    def _control(self, name: str, message: Message, msg: Any, sid: int, now_ns: int) -> None:
        """Take the answer to a command, or the end of a subscription."""
        number = wire.whole_number(message.get("id"))
        command = self._commands.pop(number, None) if number else None
        if name == "error":
            self._error(msg if isinstance(msg, dict) else {}, sid, command, now_ns)
        elif name == "unsubscribed":
            self._unsubscribed(sid, command, now_ns)
        elif name in ("subscribed", "ok") and command is not None:
            self._carried_out(command, msg, sid, now_ns)
        self._is_settled = False

    def _carried_out(self, command: Command, msg: Any, sid: int, now_ns: int) -> None:
        """Take the answer that a command was carried out."""
        if command.action is Action.LIST:
            self._compare(msg, now_ns)
            return
        channel = self.channels.get(command.channel)
        if channel is None or command.action is Action.SNAPSHOT:
            return
        if channel.on_way is command:
            channel.on_way = None
        channel.succeed()
        if command.action is Action.SUBSCRIBE:
            if not self._subscribed(channel, command, msg, sid):
                self._failed(channel, now_ns)
                return
        else:
            detail: dict[str, object] = {"sid": channel.sid, "channel": channel.name}
            action = {"action": command.action.value, "params": command.params}
            self._note(kinds.UPDATED, {**detail, **action})
        if command.action is Action.DELETE:
            for ticker in command.tickers:
                channel.held.pop(ticker, None)
            return
        channel.held.update(dict.fromkeys(command.tickers))
        self._check_taken(channel, command, msg)
        if channel.is_book:
            self.books.will_come((t for t in command.tickers if t in channel.held), now_ns)

    def _subscribed(self, channel: Channel, command: Command, msg: Any, sid: int) -> bool:
        """Take the sid of a subscription: inside ``msg``, or beside it where it joined an older one.

        False where the answer tells none.
        """
        named = wire.whole_number(msg.get("sid")) if isinstance(msg, dict) else None
        if named is None and sid == NO_SEQ:
            self._refused(command.cmd, command.params, "the answer names no sid")
            return False
        if named is not None:
            self._sequence.begin((0, named))
            self._last[named] = 0  # its first number is 1
        channel.sid = sid if named is None else named
        self._note(kinds.SUBSCRIBED, {"sid": channel.sid, "channel": channel.name, "params": command.params})
        return True

    def _check_taken(self, channel: Channel, command: Command, msg: Any) -> None:
        """Compare the markets of an ``ok`` with those asked for: one that is absent was not taken."""
        told = msg.get("market_tickers") if isinstance(msg, dict) else None
        if not isinstance(told, list) or not told:
            return
        taken = set(map(str, told))
        absent = [ticker for ticker in command.tickers if ticker not in taken]
        if absent:
            channel.refused.update(absent)
            for ticker in absent:
                del channel.held[ticker]
            detail = {**command.params, "market_tickers": absent}
            self._refused(command.cmd, detail, "absent from the markets of the answer")

    def _unsubscribed(self, sid: int, command: Command | None, now_ns: int) -> None:
        """Take the end of a subscription, ours or the exchange's."""
        channel = next((each for each in self.channels.values() if each.sid == sid), None)
        if channel is None and command is not None:
            channel = self.channels.get(command.channel)
        if channel is None:
            return
        if command is not None and command.action is Action.UNSUBSCRIBE:
            told = {"sid": channel.sid, "channel": channel.name, "action": command.action.value}
            self._note(
                kinds.UPDATED, {**told, "params": command.params, "market_tickers": list(channel.held)}
            )
            self._end(channel)
            channel.succeed()
        else:
            self._terminal(channel, 0, "the exchange unsubscribed it", now_ns)

    def _compare(self, msg: Any, now_ns: int) -> None:
        """Compare the subscriptions that the exchange lists with those held here."""
        listed = msg if isinstance(msg, list) else []
        sids = {wire.whole_number(each.get("sid")) for each in listed if isinstance(each, dict)}
        for channel in self.channels.values():
            if channel.sid is not None and channel.sid not in sids:
                self._terminal(channel, _LOST_STREAM, "absent from list_subscriptions", now_ns)

    def _error(self, msg: Message, sid: int, command: Command | None, now_ns: int) -> None:
        """Take an error: about a command, about a subscription, or about nobody knows what."""
        code, words = wire.whole_number(msg.get("code")) or 0, str(msg.get("msg", ""))[:200]
        self.counters[f"errors:{code}"] += 1
        reaction = reaction_to(code)
        if reaction is Reaction.RECONNECT:
            self.reconnect_why = f"error {code}: {words}"
        if reaction is Reaction.RESUBSCRIBE:
            named = wire.whole_number(msg.get("sid"))
            for channel in self._about(sid if sid != NO_SEQ else named, command):
                self._terminal(channel, code, words, now_ns)
        elif command is not None:
            self._command_failed(command, code, words, reaction, now_ns)
        else:
            self._refused("", {}, words, code)

    def _about(self, sid: int | None, command: Command | None) -> list[Channel]:
        """Channels that an error ends; all that are subscribed where it names none that is known."""
        held = [each for each in self.channels.values() if each.sid is not None]
        named = [each for each in held if sid is not None and each.sid == sid]
        if not named and command is not None:
            named = [each for each in self.channels.values() if each.name == command.channel]
        return named or held

    def _command_failed(
        self, command: Command, code: int, words: str, reaction: Reaction, now_ns: int
    ) -> None:
        """React to the refusal of one command."""
        channel = self.channels.get(command.channel)
        if channel is None or command.action is Action.SNAPSHOT:
            self._refused(command.cmd, command.params, words, code)
            return
        channel.on_way = None
        if reaction is Reaction.GIVE_UP:
            channel.is_left = True
            detail = {"code": code, "message": words, "channel": channel.name}
            self._note(kinds.TERMINAL, detail if channel.sid is None else {**detail, "sid": channel.sid})
            return
        if reaction is Reaction.SPLIT and command.tickers and not channel.split(command.tickers):
            return  # halves are on their way; the market that spoils them will be told
        self._refused(command.cmd, command.params, words, code)
        if reaction is not Reaction.SPLIT:
            self._failed(channel, now_ns)

    def _terminal(self, channel: Channel, code: int, words: str, now_ns: int) -> None:
        """End a subscription that the exchange ended; it is wanted still, so it is asked for again."""
        detail: dict[str, object] = {"code": code, "message": words, "channel": channel.name}
        self._note(kinds.TERMINAL, detail if channel.sid is None else {**detail, "sid": channel.sid})
        self._end(channel)
        self._failed(channel, now_ns)

    def _failed(self, channel: Channel, now_ns: int) -> None:
        """Let a channel pause; one that fails again and again asks for a new connection."""
        channel.fail(now_ns)
        if channel.failures >= FAILURES_BEFORE_RECONNECT:
            self.reconnect_why = f"{channel.name} failed {channel.failures} times in a row"

    def _end(self, channel: Channel) -> None:
        """Forget a subscription, its numbers and its books."""
        if channel.sid is not None:
            self._sequence.end((0, channel.sid))
            self._last.pop(channel.sid, None)
        held = channel.end()
        if channel.is_book:
            self.books.forget(held)

    def _refused(self, cmd: str, params: dict[str, Any], message: str, code: int | None = None) -> None:
        """Note a command that was not carried out."""
        self.counters["refused_commands"] += 1
        detail: dict[str, object] = {"cmd": cmd, "params": params, "message": message}
        self._note(kinds.REFUSED, detail if code is None else {**detail, "code": code})
