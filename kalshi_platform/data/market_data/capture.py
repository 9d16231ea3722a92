"""Capture files: frames exactly as received, one JSON line each; everything else can be rebuilt from them.

Line      ``{"recv_ns": our clock, ns UTC, "conn": connection number, "raw": the frame's text}``; lines of a
          simulated exchange carry ``"provenance": "simulated"`` beside these
Note      ``{"conn": connection number, "use_yes_price": true}``: a recorder says how it subscribed the book
          channel, on a line of its own before the frames of that connection (without ``conn``: of every
          connection), or with the two keys beside a frame. Other notes of this program's recorder begin
          with ``recv_ns, mono_ns, conn, note``: those that end a connection are read, so that its books are
          stale from then on and not from the next connection on; others are passed over, because the frames'
          numbers show every other hole
Files     plain, gzip or zstd, told apart by their first bytes; UTF-8 with or without a byte order mark, lines
          that end in LF or CRLF. The writer appends whole gzip members and fsyncs each, so that a crash
          loses at most the frames since the last :meth:`CaptureWriter.flush`.
Times     ``recv_ns`` must be a possible receive time (``clock.py``): a number in another unit is refused.
Not here  the meaning of a frame (``decode.py``), lost frames (``sequence.py``).
"""

import gzip
import io
import os
import re
import zlib
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, NamedTuple, Self, cast

import pyarrow as pa
from pydantic_core import from_json

from kalshi_platform.data.market_data.clock import MADE_UP, TimeSpan, receive_span, strange_time
from kalshi_platform.domain.bounded import shown_value
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.domain.worlds import world_name

GZIP_MAGIC: Final = b"\x1f\x8b"
#: A zstd frame, or the first of the skippable ones, with which a segment of the recorder begins.
ZSTD_MAGICS: Final = (b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18")

SIMULATED_MARK: Final = '"provenance":"simulated"'
#: Matches the line's own key only: inside a frame every quote has a backslash before it.
_SIMULATED: Final = re.compile(rb'"provenance"\s*:\s*"simulated"')
_WORLD: Final = re.compile(rb'"world"\s*:\s*"([a-z0-9_]{1,40})"')
#: Key of a note; inside a frame every quote has a backslash before it.
_SCALE_KEY: Final = b'"use_yes_price"'
#: Beginning of a note of this program's recorder (``trading/recorder/segments/lines.py``).
_RECORDER_NOTE: Final = re.compile(rb'\{"recv_ns":\d+,"mono_ns":\d+,"conn":\d+,"note":"(\w*)')
#: Kinds of notes after which nothing more comes of the note's connection, and of any connection before.
_ENDS_ITS_OWN, _ENDS_ALL = b"disconnected", (b"run_started", b"damaged")

#: Longest line of a capture file: the exchange's longest message (64 MiB), every character of it escaped.
MAX_LINE_BYTES: Final = 1 << 27
#: Times at or beyond this (the year 2116) are refused: kernels add to them in 64 bits.
MAX_TIME_NS: Final = 1 << 62
#: Beginnings of UTF-16: a byte order mark, or JSON without one.
_UTF16: Final = (BOM_UTF16_LE, BOM_UTF16_BE, b"{\0", b"[\0", b"\0{", b"\0[")


class Frame(NamedTuple):
    """One frame of the exchange and when it was received."""

    line: int  # 1-based line of the capture file
    recv_ns: int
    conn: int
    raw: str


def unmarked(text: bytes, path: Path) -> bytes:
    """Return the beginning of a text file without its UTF-8 byte order mark; DataError for UTF-16."""
    if text.startswith(_UTF16):
        raise DataError(
            f"{path}: is UTF-16 text (it begins with {text[:4]!r}), expected UTF-8; "
            f"write it again: iconv -f UTF-16 -t UTF-8 {path.name} > utf8-{path.name}"
        )
    return text.removeprefix(BOM_UTF8)


class ConnectionNote(NamedTuple):
    """Statement of a recorder about a connection: how it subscribed the book channel."""

    conn: int | None  # None: every connection of which nothing else is said
    use_yes_price: bool


class ConnectionEnd(NamedTuple):
    """Statement of a recorder that nothing more comes of a connection: its books are stale from then on."""

    conn: int | None  # None: every connection so far
    recv_ns: int
    line: int


def read_lines(path: Path, longest: int = -1) -> Iterator[tuple[int, bytes]]:
    """(1-based number, line without its end) of every line of a plain, gzip or zstd text file, streamed.

    A byte order mark and white space at the ends of lines are left out. DataError where the file cannot be
    opened, is empty, is UTF-16, has a line of more than ``longest`` bytes (-1: no bound), or its packed data
    are cut off or damaged.
    """
    number = 0
    try:
        with path.open("rb") as plain:
            read = _unpacked(plain).readline
            while line := read(longest):
                number += 1
                if len(line) == longest and not line.endswith(b"\n"):
                    raise DataError(f"{path}: line {number} is longer than {longest} bytes, {_TOO_LONG}")
                yield number, (line if number > 1 else unmarked(line, path)).rstrip()
    except EOFError:
        raise DataError(
            f"{path}: gzip data ends in the middle, after line {number}; copy the file again, or keep what "
            f"is readable: gzip -dc {path.name} | head -n {number} > recovered.jsonl"
        ) from None
    except (gzip.BadGzipFile, zlib.error) as err:
        raise DataError(
            f"{path}: damaged gzip data after line {number} ({err}); copy the file again"
        ) from None
    except OSError as err:
        if err.errno is None:  # pyarrow's zstd
            raise DataError(
                f"{path}: damaged or cut zstd data after line {number} ({err}); copy the file again"
            ) from None
        raise DataError(
            f"{path}: cannot be read ({err.strerror or err}); check the path and its rights"
        ) from None
    if number == 0:
        raise DataError(f"{path}: the file is empty; remove it or copy it again")


def is_packed(head: bytes) -> bool:
    """True for the first bytes of a gzip or zstd file."""
    return head.startswith((GZIP_MAGIC, *ZSTD_MAGICS))


def _unpacked(plain: BinaryIO) -> BinaryIO:
    """The text of an open file, unpacked on the way where its first bytes say that it is packed."""
    head = plain.read(4)
    plain.seek(0)
    if head.startswith(GZIP_MAGIC):
        return cast(BinaryIO, gzip.GzipFile(fileobj=plain))
    if head in ZSTD_MAGICS:
        return io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(plain, mode="r"), "zstd"))
    return plain


def read_frames(path: Path, now_ns: int | None = None) -> Iterator[Frame]:
    """Frames of a capture file in file order, streamed; blank lines and notes are passed over.

    ``now_ns``: the present time (None: this machine's clock). DataError names file and line for cut or
    damaged gzip data, a line that is no JSON object, a key that is missing or of the wrong type, a receive
    time that cannot be, and an empty file.
    """
    for entry in read_capture(path, now_ns):
        if isinstance(entry, Frame):
            yield entry


def read_capture(path: Path, now_ns: int | None = None) -> Iterator[Frame | ConnectionNote | ConnectionEnd]:
    """Frames and notes of a capture file in file order; arguments and errors as :func:`read_frames`."""
    received = receive_span(now_ns)
    for number, line in read_lines(path, MAX_LINE_BYTES):
        if not line:
            continue
        if _SCALE_KEY in line:
            record = _parsed(line, path, number)
            if isinstance(record, dict) and "use_yes_price" in record:
                yield _note_of(record, f"{path}: line {number}")
                if "raw" not in record:
                    continue
        if is_note(line):
            if (end := _end_of(line, path, number)) is not None:
                yield end
            continue
        yield parse_line(line, path, number, received)


def is_note(line: bytes) -> bool:
    """True for a line that holds a note and no frame."""
    return _RECORDER_NOTE.match(line) is not None or (_SCALE_KEY in line and b'"raw"' not in line)


def _end_of(line: bytes, path: Path, number: int) -> ConnectionEnd | None:
    """End of connections that a note of the recorder tells; None where it tells another thing.

    The notes of a new run, and of damaged bytes, tell from when on nothing came: a time before their own.
    """
    match = _RECORDER_NOTE.match(line)
    kind = b"" if match is None else match[1]
    if kind != _ENDS_ITS_OWN and kind not in _ENDS_ALL:
        return None
    record = _parsed(line, path, number)
    detail = record.get("detail") if isinstance(record, dict) else None
    where = f"{path}: line {number}"
    if not isinstance(record, dict) or not isinstance(detail, dict):
        raise DataError(f"{where} is no note of the recorder: detail = {shown_value(detail)}")
    own_ns, since_ns = record["recv_ns"], detail.get("since_ns")
    told_ns = own_ns if kind == _ENDS_ITS_OWN or type(since_ns) is not int else min(since_ns, own_ns)
    if not 0 <= told_ns < MAX_TIME_NS:
        raise DataError(f"{where} tells the time {told_ns}, which cannot be; copy the file again")
    return ConnectionEnd(record["conn"] if kind == _ENDS_ITS_OWN else None, told_ns, number)


def _note_of(record: dict[str, object], where: str) -> ConnectionNote:
    """Note of one parsed line; DataError says which part of it is wrong."""
    conn, scale = record.get("conn"), record["use_yes_price"]
    if not isinstance(scale, bool) or not (conn is None or type(conn) is int):
        raise DataError(
            f"{where} has conn = {shown_value(conn)}, use_yes_price = {shown_value(scale)}; "
            'a note is {"conn": <int>, "use_yes_price": true or false}'
        )
    return ConnectionNote(conn, scale)


def parse_line(line: bytes, path: Path, number: int, received: TimeSpan | None = None) -> Frame:
    """Frame of one capture line; DataError says which part of the line is wrong."""
    record, where = _parsed(line, path, number), f"{path}: line {number}"
    frame = frame_of(record, number, where)
    assert isinstance(record, dict)  # frame_of saw to it
    possible = times_of(record, received or receive_span())
    if not possible.holds(frame.recv_ns):
        raise DataError(f"{where}: {strange_time('recv_ns', frame.recv_ns, 1, possible)}")
    return frame


def _parsed(line: bytes, path: Path, number: int) -> object:
    """JSON value of a line; DataError names file and line where there is none."""
    try:
        record: object = from_json(line)
    except ValueError as err:
        raise DataError(
            f"{path}: line {number} is not JSON ({err}): {line[:80]!r}; "
            "remove the line or copy the file again"
        ) from None
    return record


def times_of(record: dict[str, object], received: TimeSpan) -> TimeSpan:
    """Possible times of a capture line: ``received``, or made-up ones where its exchange was simulated."""
    return MADE_UP if record.get("provenance") == "simulated" else received


def frame_of(record: object, number: int, where: str) -> Frame:
    """Frame of one parsed capture line, its time not yet checked.

    DataError begins with ``where`` and says which part is wrong.
    """
    if not isinstance(record, dict):
        raise DataError(f"{where} is {type(record).__name__}, not a JSON object; see {_FORMAT}")
    for key, kind in (("recv_ns", int), ("conn", int), ("raw", str)):
        value = record.get(key)
        if type(value) is not kind:
            found = f"{key} = {shown_value(value)}" if key in record else f"no {key!r}"
            raise DataError(f"{where} has {found}, expected {kind.__name__}; {_FORMAT}")
    return Frame(number, record["recv_ns"], record["conn"], record["raw"])


def is_simulated_line(line: bytes) -> bool:
    """True for a line that says of itself that its exchange was simulated."""
    return _SIMULATED.search(line) is not None


def world_of_line(line: bytes) -> str:
    """World that a simulated line names (``domain/worlds.py``); UNNAMED where it names none."""
    found = _WORLD.search(line)
    return world_name(found[1].decode() if found else None)


_TOO_LONG: Final = "which no message of the exchange is: it may lack its line ends; split it at every frame"
_FORMAT: Final = 'a capture line is {"recv_ns": <int, ns>, "conn": <int>, "raw": "<the frame>"}'


class CaptureWriter:
    """Writer of one new capture file; a crash or a power cut loses no frame that was flushed.

    A file whose name ends in ``.gz`` is compressed, one gzip member a flush. The writer refuses a file that
    exists: nobody alters a recording after the fact, a new session writes a new file.
    """

    def __init__(self, path: Path, flush_bytes: int = 1 << 20, level: int = 6) -> None:
        """Create ``path``; ``flush_bytes`` of collected text cause a flush."""
        if flush_bytes <= 0:
            raise ContractError(f"flush_bytes={flush_bytes}; expected at least 1")
        try:
            self._file: BinaryIO = path.open("xb")
        except FileExistsError:
            raise ContractError(f"{path} exists; a capture is written once, choose a new name") from None
        self.path = path
        self._packed = path.name.endswith(".gz")
        self._level = level
        self._flush_bytes = flush_bytes
        self._lines: list[bytes] = []
        self._size = 0

    def append(self, recv_ns: int, conn: int, raw: str) -> None:
        """Add one frame; the next flush writes the frame to disk."""
        line = json_text({"recv_ns": recv_ns, "conn": conn, "raw": raw}, tight=True).encode() + b"\n"
        self._lines.append(line)
        self._size += len(line)
        if self._size >= self._flush_bytes:
            self.flush()

    def flush(self) -> None:
        """Write the collected frames as one gzip member (or plain text) and fsync the file."""
        if not self._lines:
            return
        text = b"".join(self._lines)
        self._file.write(gzip.compress(text, self._level) if self._packed else text)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._lines.clear()
        self._size = 0

    def close(self) -> None:
        """Flush and close the file; closing twice is harmless."""
        if not self._file.closed:
            self.flush()
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
