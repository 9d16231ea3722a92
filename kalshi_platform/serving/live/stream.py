"""One client's stream: texts in, answers out, decisions asked for in between; no socket and no clock.

In         ``account`` and ``ack`` messages (``messages.py``); every other text is a frame: a capture line
           (its own ``recv_ns`` and ``conn``) or a frame of the exchange exactly as received (the server's
           clock, connection 0). Frames are numbered 1, 2, 3 ... in order, refused ones too.
Out        ``opened``, ``placed``, ``decision``, ``ack``, ``refused``, ``closed``; ``docs/streaming.md`` shows
           them.
Decisions  at the same times as in the environment: when a group gets its first new row at least the interval
           after its last decision. Frames of one instant belong together: a later one decides again, and its
           decision replaces the earlier one.
Invariant  the same texts in the same order give the same batches and answers, whatever the session answered
           before, however often the connection broke. No text of a client makes ``feed`` raise: where the
           server itself fails on one, the frame is refused and every book is invalid until its next snapshot.
"""

import logging
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
from pydantic import Field
from pydantic_core import from_json, to_json

from kalshi_platform.data.features.resolution import ResolutionHistory
from kalshi_platform.data.market_data.capture import Frame, frame_of, times_of
from kalshi_platform.data.market_data.clock import AHEAD_S, TimeSpan, live_span
from kalshi_platform.domain.actions import ACTION_NAMES, by_action
from kalshi_platform.domain.bounded import bounded_message
from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError, DataError, LimitError
from kalshi_platform.domain.units import NS_PER_MS, NS_PER_SECOND
from kalshi_platform.models.registry.marks import Marks, fields_said
from kalshi_platform.models.rules.trading_filter import said
from kalshi_platform.serving.api.messages import AccountMessage, OpenMessage
from kalshi_platform.serving.api.wrong_fields import parse_message
from kalshi_platform.serving.guard.served import ServedModel
from kalshi_platform.serving.inference.batch import NOTES_OF, TIER_NAMES, Batch, Decisions
from kalshi_platform.serving.live.admission import columns_shown, refusal_of, require_inputs
from kalshi_platform.serving.live.books import LiveBooks
from kalshi_platform.serving.live.group import joined
from kalshi_platform.serving.live.places import LateError

Decide = Callable[[Batch, int], Decisions]

_LOG: Final = logging.getLogger(__name__)
_CONTROL: Final = ("open", "account", "ack")  # a tuple: a type may be anything, also what cannot be hashed


class StreamLimits(Config):
    """Limits of what one session may cost."""

    max_markets: int = Field(500, ge=1, description="markets a session may have")
    max_frame_bytes: int = Field(
        1 << 24, ge=1_024, description="longest text, in characters; limits.message_chars ends it before"
    )
    max_open_bytes: int = Field(1 << 20, ge=1_024, description="longest open message, in characters")
    max_refused: int = Field(100, ge=1, description="refused texts after which a session is closed")
    max_streams: int = Field(1_000, ge=1, description="connections and subscriptions a session may have")
    max_counters: int = Field(1_000, ge=1, description="different unknown types and fields")
    ack_every: int = Field(64, ge=1, description="frames between two acknowledgements")


class Due(NamedTuple):
    """Groups that need a decision now, and the batch to decide on."""

    frame: int
    recv_ns: int
    groups: tuple[int, ...]
    live: np.ndarray  # (N, S) bool: slots in which a market stands
    reasons: np.ndarray  # (N, S) u1: of the rules, as models/rules/trading_filter.py numbers them
    batch: Batch


class Fed(NamedTuple):
    """Answers to one text, and the decisions that are due after it."""

    messages: list[str]
    due: Due | None = None
    closed: bool = False  # the last message says why; nothing more is read
    refused: str = ""  # what was refused: frame, message, or failed where the server failed on it


class StreamSession:
    """Live state of one client, fed a text at a time; one thread at a time."""

    def __init__(
        self,
        session: str,
        opening: OpenMessage,
        served: ServedModel,
        limits: StreamLimits | None = None,
        resolutions: ResolutionHistory | None = None,
    ) -> None:
        """ContractError where the groups of ``opening`` do not fit ``served``, of which no engine is kept."""
        self.id = session
        self.model = served.key.model  # id of the one it was opened or taken up with
        if not opening.accept_missing_inputs:
            named = [ticker for group in opening.groups for ticker in group]
            shown = columns_shown(served.trading, served.window)
            require_inputs(shown, opening.markets, named, outcomes=resolutions is not None)
        self._opening, self._marks = opening, served.marks
        self.limits = limits or StreamLimits()
        self._trading, self._window = served.trading, served.window
        self._books = LiveBooks(
            served.trading,
            served.window,
            opening.markets,
            opening.groups,
            opening.use_yes_price,
            resolutions,
            self.limits.max_markets,
            opening.accept_missing_inputs,
        )
        own_ms = opening.decision_interval_ms
        self._interval_ns = served.trading.interval_ns if own_ms is None else own_ms * NS_PER_MS
        self._probabilities = opening.probabilities
        self._decide_after = opening.decide_after
        self._next_frame = opening.first_frame
        self._n_refused = self._n_counted = 0  # refused texts, and those of them that end a session
        self._is_made_up: bool | None = None  # what the first capture line says of its provenance
        self._decided_ns: list[int] = []  # a group's last decision; -1 = none
        self._last: dict[int, tuple[int, str]] = {}  # group -> its last decision, by frame
        self.closed = False

    @property
    def next_frame(self) -> int:
        """Number that the next frame will get."""
        return self._next_frame

    @property
    def books(self) -> LiveBooks:
        """Markets and groups, to be read only."""
        return self._books

    def is_read_by(self, served: ServedModel) -> bool:
        """True where ``served`` reads the arrays that this session builds."""
        return self._window == served.window and self._trading == served.trading

    @property
    def source(self) -> str | None:
        """Source of the frames that the open message announced; None: real ones."""
        return self._opening.source

    def refuses(self, served: ServedModel) -> str:
        """Reason why ``served`` must not answer this stream, by what its open message allowed; else empty."""
        return refusal_of(self._opening, served)

    def opened(self, resumed: bool) -> list[str]:
        """First messages to a client: the state of the session, and the decisions it may have missed."""
        first = _text(
            type="opened",
            session=self.id,
            resumed=resumed,
            model=self.model,
            next_frame=self._next_frame,
            n_slots=self._trading.n_slots,
            groups=self._books.tickers,
            decision_interval_ms=self._interval_ns // NS_PER_MS,
            ack_every=self.limits.ack_every,
            **fields_said(self._marks),
        )
        missed = [text for frame, text in self._last.values() if frame > self._decide_after]
        return [first, *missed]

    def resume(self, opening: OpenMessage, served: ServedModel) -> list[str]:
        """Go on with ``served`` after the connection broke; of ``opening`` only ``decide_after`` is read."""
        self.model, self._decide_after = served.key.model, opening.decide_after
        self._marks = served.marks
        return self.opened(resumed=True)

    def feed(self, text: str, now_ns: int) -> Fed:
        """Take one text received at ``now_ns`` of the server's clock."""
        if self.closed:
            return Fed([], closed=True)
        number = self._next_frame
        try:
            return self._fed(text, now_ns)
        except Exception:  # a bug of this server
            _LOG.exception("a session failed on the text after frame %d", number - 1)
            return self._failed(text, number)

    def _failed(self, text: str, number: int) -> Fed:
        """Refuse a text in which the server failed, and make every book invalid."""
        try:
            is_frame = not _is_control(self._parsed(text))
            self._next_frame = number + is_frame
            self._books.spoil(number)
        except Exception:
            _LOG.exception("its books could not be made invalid")
            return self._close([], "the server failed on a text and cannot go on: open a new session")
        words = "the server failed on this text (see its log): every book is invalid until its next snapshot"
        return self._refused(number if is_frame else None, DataError(words))._replace(refused="failed")

    def _fed(self, text: str, now_ns: int) -> Fed:
        try:
            message = self._parsed(text)
        except DataError as err:
            return self._refused(self._number(), err)
        if _is_control(message):
            return self._control(message)
        number = self._number()
        try:
            frame, message, received = self._frame(text, message, number, now_ns)
            touched = self._books.feed(frame, message, received)
        except LateError as err:  # a little late: a line before it may have been early, and the next are not
            return self._refused(number, err, counts=err.late_ns > AHEAD_S * NS_PER_SECOND)
        except DataError as err:
            return self._refused(number, err)
        except LimitError as err:
            return self._close([], str(err))
        messages = [self._placed(ticker) for ticker in self._books.newly_placed()]
        if number % self.limits.ack_every == 0:
            messages.append(self._ack())
        if self._is_flooded():
            return self._close(
                messages,
                "too many connections, subscriptions or unknown fields in a session: open one for each feed",
            )
        return Fed(messages, self._due(touched, number))

    def answer(self, due: Due, decisions: Decisions, served: ServedModel | None = None) -> list[str]:
        """The ``decision`` messages of ``due``; ``served`` where another one decided than the session's."""
        messages, model = [], self.model if served is None else served.key.model
        marks = self._marks if served is None else served.marks
        for n, group in enumerate(due.groups):
            text = self._decision(due, decisions, n, group, model, marks)
            if self._last.get(group, (0, ""))[0] <= due.frame:  # else a connection before got it late
                self._last[group] = due.frame, text
            messages.append(text)
        return messages

    def row_age_ns(self, due: Due) -> int:
        """Age of the oldest row that ``due`` shows; ask before the next text is fed.

        A row changes with its market: in a quiet market the latest row may be minutes old and still be the
        book.
        """
        return max(self._books.groups[group].oldest_row_age_ns for group in due.groups)

    def step(self, text: str, now_ns: int, decide: Decide) -> list[str]:
        """Feed one text and decide at once, in this process, if a decision is due."""
        fed = self.feed(text, now_ns)
        due = fed.due
        return fed.messages + ([] if due is None else self.answer(due, decide(due.batch, due.recv_ns)))

    # What comes in

    def _number(self) -> int:
        """Number of the frame that has just come."""
        number = self._next_frame
        self._next_frame += 1
        return number

    def _parsed(self, text: str) -> dict[str, Any]:
        """JSON object in ``text``; DataError where it is none or too long."""
        if len(text) > self.limits.max_frame_bytes:
            raise DataError(f"{len(text)} characters; at most {self.limits.max_frame_bytes} are read")
        return _json_object(text)

    def _frame(
        self, text: str, message: dict[str, Any], number: int, now_ns: int
    ) -> tuple[Frame, dict[str, Any], TimeSpan]:
        """Frame in a text, the message in the frame, and the times at which it can have been received."""
        if "raw" in message:
            frame = frame_of(message, number, "the capture line")
            self._same_world(message.get("provenance") == "simulated")
            return frame, _json_object(frame.raw), times_of(message, live_span(now_ns))
        # the server's clock may be set back; a stream's clock never goes back
        now_ns = max(now_ns, self._books.now_ns)
        return Frame(number, now_ns, 0, text), message, live_span(now_ns)

    def _same_world(self, is_made_up: bool) -> None:
        """Raise DataError for a simulated line among others: its time alone may lie in the future."""
        if self._is_made_up is None:
            self._is_made_up = is_made_up
        elif self._is_made_up is not is_made_up:
            before = "simulated" if self._is_made_up else "not simulated"
            raise DataError(
                f"the lines before this one were {before} by their provenance: open a session each"
            )

    def _control(self, message: dict[str, Any]) -> Fed:
        """Answer a message that is no frame."""
        if message["type"] == "ack":
            return Fed([self._ack()])
        if message["type"] == "open":
            return self._refused(None, ContractError("the session is open already: use another connection"))
        try:
            self._books.set_account(parse_message(AccountMessage, message, "account"))
        except ContractError as err:
            return self._refused(None, err)
        return Fed([])

    def _is_flooded(self) -> bool:
        """True where the client has made the session remember too much."""
        books, limits = self._books, self.limits
        return books.n_streams > limits.max_streams or len(books.counters) > limits.max_counters

    # What is decided

    def _due(self, touched: list[int], number: int) -> Due | None:
        """Batch of the groups in ``touched`` that need a decision now; None where none does."""
        now_ns = self._books.now_ns
        groups = [g for g in touched if self._is_due(g, now_ns)]
        for g in groups:
            self._decided_ns[g] = now_ns
        if not groups or number <= self._decide_after:
            return None
        batches = [self._books.groups[g].observe(now_ns) for g in groups]
        live = np.array([self._books.groups[g].live for g in groups])
        reasons = np.array([self._books.groups[g].reasons for g in groups])
        return Due(number, now_ns, tuple(groups), live, reasons, joined(batches))

    def _is_due(self, group: int, now_ns: int) -> bool:
        """True where the interval since the last decision of ``group`` is over."""
        while len(self._decided_ns) <= group:
            self._decided_ns.append(-1)
        last_ns = self._decided_ns[group]
        return last_ns < 0 or now_ns == last_ns or now_ns >= last_ns + self._interval_ns

    # What goes out

    def _decision(self, due: Due, decisions: Decisions, n: int, group: int, model: str, marks: Marks) -> str:
        """Text of one ``decision`` message."""
        live = due.live[n]
        slots = [(s, t) for s, t in enumerate(self._books.tickers[group]) if live[s]]
        actions = decisions.actions[n].tolist()
        fields: dict[str, Any] = {
            "type": "decision",
            "frame": due.frame,
            "recv_ns": due.recv_ns,
            "group": group,
            "actions": {ticker: ACTION_NAMES[actions[s]] for s, ticker in slots},
            "confidence": float(decisions.confidence[n]),
            "tier": TIER_NAMES[int(decisions.tier[n])],
            "notes": NOTES_OF[int(decisions.notes[n])],
            "reasons": said([t for _, t in slots], due.reasons[n, live].tolist()),
            "model": model,
        }
        fields |= fields_said(marks)
        if missing := {t: names for _, t in slots if (names := self._books.missing[t])}:
            fields["missing_inputs"] = missing
        if self._probabilities:
            fields["probabilities"] = {t: by_action(decisions.probabilities[n, s].tolist()) for s, t in slots}
        return _text(**fields)

    def _placed(self, ticker: str) -> str:
        """Text of one ``placed`` message."""
        place = self._books.places[ticker]
        fields: dict[str, Any] = {}
        if names := self._books.missing[ticker]:
            fields["missing_inputs"] = names
        if ticker in self._books.withheld:
            fields["withheld"] = True
        return _text(type="placed", ticker=ticker, group=place.group, slot=place.slot, **fields)

    def _ack(self) -> str:
        """Text of one ``ack`` message."""
        return _text(type="ack", frame=self._next_frame - 1)

    def _refused(self, number: int | None, why: Exception, *, counts: bool = True) -> Fed:
        """Answer to a refused text; the session closes after too many that count."""
        self._n_refused, self._n_counted = self._n_refused + 1, self._n_counted + counts
        problem = {
            "title": "message refused" if number is None else "frame refused",
            "detail": bounded_message(str(why)),
        }
        messages = [_text(type="refused", frame=number, problem=problem, refused=self._n_refused)]
        kind = str(problem["title"]).split()[0]
        if self._n_counted < self.limits.max_refused:
            return Fed(messages, refused=kind)
        words = f"{self._n_refused} texts were refused, as many as may be: see their problems"
        return self._close(messages, words)._replace(refused=kind)

    def _close(self, messages: list[str], reason: str) -> Fed:
        """Close the session, and tell the client the reason."""
        self.closed = True
        return Fed([*messages, _text(type="closed", reason=reason)], closed=True)


def _text(**fields: Any) -> str:
    """JSON text of a message with these fields."""
    return to_json(fields).decode()


def _is_control(message: dict[str, Any]) -> bool:
    return message.get("type") in _CONTROL and "raw" not in message


def _json_object(text: str) -> dict[str, Any]:
    """JSON object in ``text``; DataError where it is none."""
    try:
        value = from_json(text)
    except ValueError as err:
        raise DataError(f"not JSON ({err}): {text[:80]!r}") from None
    if not isinstance(value, dict):
        raise DataError(f"{type(value).__name__}, not a JSON object: {text[:80]!r}")
    return value
