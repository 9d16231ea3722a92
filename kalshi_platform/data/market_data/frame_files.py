"""Frames of a recording in any form that keeps them whole: capture lines, other envelopes, or none.

Capture    ``{"recv_ns", "conn", "raw"}`` a line: ``capture.py`` reads it
Wrapped    a time under one of ``moments.RECEIVE_NAMES`` beside the frame under one of ``PAYLOADS``, as an
           object or as text; one a line, or a list in a JSON document
Raw        the exchange's own frame, one a line or a list in a document. Nobody noted when it arrived, so its
           receive time is the exchange's own: ``sending_ts_ms``, else ``ts_ms``, ``ts`` or ``time`` of its
           ``msg``. A frame without any (a snapshot, an answer) takes the time of the next frame that has one,
           the last ones that of the frame before: never earlier than the exchange sent it.
Order      file order stands: a frame with the exchange's time is never earlier than the one before it.
Counted    ``frames_with_exchange_time_as_receive_time``, ``frames_without_any_time``, ``lines_without_frame``
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic_core import from_json, to_json

from kalshi_platform.data.market_data import capture
from kalshi_platform.data.market_data.capture import ConnectionEnd, ConnectionNote, Frame, read_lines
from kalshi_platform.data.market_data.clock import receive_span, strange_time
from kalshi_platform.data.market_data.moments import RECEIVE_NAMES, moment_ns, received
from kalshi_platform.domain.errors import DataError

#: Names under which recorders keep the frame itself.
PAYLOADS: Final = ("raw", "frame", "message", "data", "payload", "msg", "body", "text", "event", "line")
#: Answers of the exchange, which may come without ``msg``.
_ANSWERS: Final = frozenset({"ok", "error", "subscribed", "unsubscribed", "pong"})
_CAPTURE_KEYS: Final = frozenset({"recv_ns", "conn", "raw"})
#: Lines looked at to tell the form of a file.
_LOOKED_AT: Final = 20


class _HeldFrame(NamedTuple):
    """One frame as the file holds it."""

    number: int  # line of the file, or place in the list, from 1
    recv_ns: int | None  # None: nobody noted it
    conn: int
    message: Mapping[str, Any]
    raw: str
    unit: str | None = None  # of the recorder's time, in words


def is_capture_line(record: object) -> bool:
    """True for a parsed line of a capture file; one key may be missing, which is then named with its line."""
    return isinstance(record, dict) and len(_CAPTURE_KEYS & record.keys()) >= 2


def is_frame(record: object) -> bool:
    """True for a parsed frame of the exchange, raw or wrapped; its time may be one that cannot be."""
    try:
        return _found(record, 0) is not None
    except DataError:
        return True


def holds_frames(document: object) -> bool:
    """True for a JSON document that is, or holds, a list of frames."""
    return _frame_list(document) is not None


def read_entries(path: Path, counters: Counter[str]) -> Iterator[Frame | ConnectionNote | ConnectionEnd]:
    """Frames and notes of a recording in file order; errors as ``capture.read_frames``."""
    if is_capture(path):
        yield from capture.read_capture(path)
    else:
        yield from _timed(path, _others(path, counters), counters)


def read_frames(path: Path, counters: Counter[str] | None = None) -> Iterator[Frame]:
    """Frames of a recording in file order; errors as ``capture.read_frames``."""
    for entry in read_entries(path, Counter() if counters is None else counters):
        if isinstance(entry, Frame):
            yield entry


def span_ns(path: Path) -> tuple[int, int]:
    """Receive times of the first and the last frame; DataError where there is none."""
    first = last = None
    if is_capture(path):
        line, number = b"", 0
        for n, text in read_lines(path, capture.MAX_LINE_BYTES):
            if text and not capture.is_note(text):
                first = first or capture.parse_line(text, path, n)
                line, number = text, n
        last = capture.parse_line(line, path, number) if first else None
    else:
        for frame in read_frames(path):
            first, last = first or frame, frame
    if first is None or last is None:
        raise DataError(f"{path}: holds blank lines only; remove it or copy it again")
    return first.recv_ns, last.recv_ns


def is_capture(path: Path) -> bool:
    """True for a file of capture lines; a first line that is no JSON counts, so that its number is named."""
    for _, line in read_lines(path):
        if line.strip() and not capture.is_note(line):
            try:
                return is_capture_line(from_json(line))
            except ValueError:
                return b'"recv_ns"' in line or b'"raw"' in line
    return True


def _others(path: Path, counters: Counter[str]) -> Iterator[_HeldFrame]:
    """Frames of a file without capture lines: the list in its one document, else one a line.

    Lines that hold something else (a header, notes of the recorder) are counted.
    """
    first = next((line for _, line in read_lines(path) if line.strip()), b"")
    if not _is_one_frame(first) and (frames := _of_document(path)) is not None:
        for number, entry in enumerate(frames, start=1):
            yield from _frame_in(entry, number, f"{path}: frame {number}", counters)
        return
    for number, line in read_lines(path):
        if line.strip():
            try:
                record = from_json(line)
            except ValueError as err:
                raise DataError(
                    f"{path}: line {number} is not JSON ({err}): {line[:80]!r}; "
                    "remove the line or copy the file again"
                ) from None
            yield from _frame_in(record, number, f"{path}: line {number}", counters)


def _is_one_frame(line: bytes) -> bool:
    """True for a line that is a frame by itself."""
    try:
        return is_frame(from_json(line))
    except ValueError:
        return False


def _of_document(path: Path) -> list[Any] | None:
    """List of frames in a file that is one JSON document; None for a file that is none."""
    try:
        return _frame_list(from_json(b"\n".join(line for _, line in read_lines(path))))
    except ValueError:
        return None


def _frame_in(record: object, number: int, where: str, counters: Counter[str]) -> Iterator[_HeldFrame]:
    """Yield the frame in ``record``, or count that there is none; DataError where its time cannot be."""
    try:
        found = _found(record, number)
    except DataError as err:
        raise DataError(f"{where}: {err}; correct the line") from None
    if found is None:
        counters["lines_without_frame"] += 1
    else:
        yield found


def _found(record: object, number: int) -> _HeldFrame | None:
    """Frame in a parsed record; None where the record is, and wraps, none."""
    if not isinstance(record, dict):
        return None
    if _is_message(record):
        noted_ns, unit = _noted(record, ("ts", "ts_ms", "time", "t", "at"))
        return _HeldFrame(number, noted_ns, 0, record, _text(record), unit)
    for name in PAYLOADS:
        inner = record.get(name)
        raw = inner if isinstance(inner, str) else None
        if raw is not None and raw.lstrip()[:1] == "{":
            try:
                inner = from_json(raw)
            except ValueError:
                continue
        if isinstance(inner, dict) and _is_message(inner):
            conn = record.get("conn")
            wrapped = raw if raw is not None else _text(inner)
            noted_ns, unit = _noted(record)
            return _HeldFrame(number, noted_ns, conn if type(conn) is int else 0, inner, wrapped, unit)
    return None


def _noted(record: Mapping[str, Any], not_these: tuple[str, ...] = ()) -> tuple[int | None, str | None]:
    """Receive time that the recorder put into ``record`` and its unit; a bare frame's own ``ts`` is none."""
    return received({k: v for k, v in record.items() if k not in not_these}) or (None, None)


def _is_message(record: Mapping[str, Any]) -> bool:
    """True for an object shaped as the exchange's messages are."""
    kind = record.get("type")
    return isinstance(kind, str) and (isinstance(record.get("msg"), dict) or kind in _ANSWERS)


def _text(message: Mapping[str, Any]) -> str:
    """JSON text of a frame that the file holds as an object."""
    return to_json(message).decode()


def _frame_list(document: object) -> list[Any] | None:
    """The list of frames in a document: the document itself, or a list one level below."""
    lists = [document] if isinstance(document, list) else []
    if isinstance(document, dict):
        lists = [value for value in document.values() if isinstance(value, list)]
    for entries in lists:
        if entries and any(is_frame(entry) for entry in entries[:_LOOKED_AT]):
            return entries
    return None


def own_time_ns(message: Mapping[str, Any]) -> int | None:
    """Exchange's own time of a message, ns; None where it carries none."""
    msg = message.get("msg")
    for holder, name in (
        (message, "sending_ts_ms"), (msg, "ts_ms"), (msg, "ts"), (msg, "time"), (message, "ts_ms"),
        (message, "ts"),
    ):  # fmt: skip
        if isinstance(holder, dict) and holder.get(name) is not None:
            return moment_ns(holder[name], name)
    return None


def _timed(path: Path, found: Iterator[_HeldFrame], counters: Counter[str]) -> Iterator[Frame]:
    """Frames with a receive time each, by the rule of this module's header."""
    waiting: list[_HeldFrame] = []
    last_ns: int | None = None
    span = receive_span()
    first: _HeldFrame | None = None  # the first frame whose time the recorder noted
    for frame in found:
        at_ns = frame.recv_ns
        if frame.unit is not None:
            first = first or frame
            if frame.unit != first.unit:
                raise DataError(
                    f"{path}: the receive time of line {frame.number} looks like {frame.unit}, that of "
                    f"line {first.number} like {first.unit}; write all times of a recording in one unit"
                )
        if at_ns is None:
            at_ns = _checked_own_time(path, frame)
            counters["frames_with_exchange_time_as_receive_time"] += 1
            if at_ns is None:
                counters["frames_without_any_time"] += 1
                waiting.append(frame)
                continue
        if not span.holds(at_ns):
            raise DataError(f"{path}: frame at line {frame.number}: {strange_time('time', at_ns, 1, span)}")
        if frame.recv_ns is None and last_ns is not None:
            at_ns = max(last_ns, at_ns)
        last_ns = at_ns
        for earlier in waiting:
            yield Frame(earlier.number, last_ns, earlier.conn, earlier.raw)
        waiting.clear()
        yield Frame(frame.number, last_ns, frame.conn, frame.raw)
    if waiting and last_ns is None:
        raise DataError(
            f"{path}: no frame has a time, neither the exchange's (sending_ts_ms, ts_ms) nor a recorder's "
            f"({', '.join(RECEIVE_NAMES[:3])}, ...); put each frame into "
            '{"recv_ns": <ns since 1970>, "conn": 0, "raw": "<the frame>"}'
        )
    for frame in waiting:
        assert last_ns is not None
        yield Frame(frame.number, last_ns, frame.conn, frame.raw)


def _checked_own_time(path: Path, frame: _HeldFrame) -> int | None:
    """Exchange's own time of a frame; DataError names the frame whose time cannot be."""
    try:
        return own_time_ns(frame.message)
    except DataError as err:
        raise DataError(f"{path}: frame at line {frame.number}: {err}; correct or remove the line") from None
