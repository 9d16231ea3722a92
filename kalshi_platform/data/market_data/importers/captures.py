"""Capture files of one job to pieces: files that follow one another are one recording, decoded together.

A recorder that starts a new file in mid-connection goes on counting. One decoder therefore reads such files
in order of time, and sees no gap where there is none. Files whose times overlap come from different
recorders, and each gets its own decoder (``merging.py`` then keeps the longer record of a market).

The scale of NO prices (``use_yes_price``) is what a note, a recorded command or the caller says, else what
the recording shows (``price_scale.py``).

A frame that cannot be read is put aside, as in a live session: it counts as lost, the books that it may have
changed are spoilt until their next snapshot, and the first such lines are named in notes.

Simulated files have a decoder apart from recorded ones; a file that holds lines of both is refused.
"""

import re
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from kalshi_platform.data.market_data.capture import (
    MAX_LINE_BYTES,
    ConnectionEnd,
    ConnectionNote,
    is_note,
    is_simulated_line,
    parse_line,
    read_lines,
    world_of_line,
)
from kalshi_platform.data.market_data.decode import Decoder
from kalshi_platform.data.market_data.facts import EventFeeTold
from kalshi_platform.data.market_data.faults import Origin
from kalshi_platform.data.market_data.frame_files import is_capture, read_entries, span_ns
from kalshi_platform.data.market_data.importers.pieces import Piece
from kalshi_platform.data.market_data.importers.price_scale import settle_scales
from kalshi_platform.data.market_data.importers.types import Part
from kalshi_platform.data.market_data.market_meta import is_ticker
from kalshi_platform.data.market_data.schema import SNAPSHOT, TRADE, MarketRows
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.market import Provenance

#: Refused frames of a file that are named; the others are counted.
_NAMED: Final = 20
#: A file is refused where this many frames are, and more than one in so many.
_REFUSED_AT_LEAST, _REFUSED_ONE_IN = 10, 10

#: Fees of events as frames told them, by event.
EventFees = dict[str, list[EventFeeTold]]
_TICKER: Final = re.compile(rb'market_ticker\\*"\s*:\s*\\*"([^"\\]+)\\*"')


class CaptureIndex(NamedTuple):
    """Tickers that one capture file names, whether it is simulated, and the worlds that it names."""

    mentions: dict[str, int]  # ticker -> how often it is named
    simulated: bool
    worlds: frozenset[str]


def index_capture(path: Path) -> CaptureIndex:
    """Index of a capture file, made from the whole of it: a file that is cut off is refused early."""
    seen: Counter[bytes] = Counter()
    worlds: set[str] = set()
    simulated: bool | None = None if is_capture(path) else False
    for number, line in read_lines(path, MAX_LINE_BYTES if simulated is None else -1):
        if not line or is_note(line):
            continue
        if simulated is None:
            parse_line(line, path, number)
            simulated = is_simulated_line(line)
        elif is_simulated_line(line) != simulated:
            raise DataError(
                f"{path}: line {number} is {'recorded' if simulated else 'simulated'}, the lines before it "
                "are not; take the file apart and import one of the two"
            )
        if simulated:
            worlds.add(world_of_line(line))
        seen.update(_TICKER.findall(line))
    if simulated is None:
        raise DataError(f"{path}: holds no frame; remove it or copy it again")
    # frames of a name that no market has are refused one by one (decode.py)
    names = {t.decode(errors="replace"): n for t, n in seen.items()}
    return CaptureIndex({t: n for t, n in names.items() if is_ticker(t)}, simulated, frozenset(worlds))


def import_captures(
    parts: list[Part],
    use_yes_price: bool | None,
    counters: Counter[str],
    notes: list[str],
    fees: EventFees,
    held: Collection[str] = (),
) -> list[Piece]:
    """Pieces of every market of the capture files.

    Counters of whole files go to ``counters``, the first frames that cannot be read to ``notes``.

    Fees of events that frames told are added to ``fees``, by event in order of time.
    ``use_yes_price`` holds for recorded connections of which their file says nothing.
    Markets that are ``held`` by the dataset need neither a book nor a trade: a later file may tell no more of
    them than how they ended.
    """
    pieces: list[Piece] = []
    for simulated, scale in ((False, use_yes_price), (True, False)):
        for files in _recordings([Path(p.path) for p in parts if p.simulated == simulated]):
            pieces.extend(_import_recording(files, simulated, scale, counters, notes, fees, held))
    return pieces


def _import_recording(
    files: list[Path],
    simulated: bool,
    use_yes_price: bool | None,
    counters: Counter[str],
    notes: list[str],
    fees: EventFees,
    held: Collection[str],
) -> list[Piece]:
    """Pieces of every market of ``files``, which follow one another in time."""
    decoder = Decoder(use_yes_price)
    notes += feed_files(decoder, files)
    counters.update(decoder.counters)
    for event, told in decoder.event_fees.items():
        fees[event] = sorted([*fees.get(event, []), *told], key=lambda t: t.recv_ns)
    where, names = "+".join(map(str, files)), "+".join(f.name for f in files)
    buffers = {}
    books, lines = {}, {}
    for ticker in sorted(decoder.markets):
        buffer = decoder.markets.pop(ticker)
        rows, lines_of = buffer.rows()
        if ticker not in held and not np.isin(rows.kind, (SNAPSHOT, TRADE)).any():
            counters["markets_without_book_or_trade"] += 1
            continue
        buffers[ticker], lines[ticker] = buffer, lines_of
        books[ticker] = (rows, tuple(buffer.carried))
    read = {t: rows for t, (rows, _) in books.items()} if simulated else settle_scales(books, where, counters)
    return [
        Piece(
            ticker,
            "simulated" if simulated else _provenance(rows),
            rows,
            Origin(where, "line", lines[ticker]),
            names,
            tuple(buffers[ticker].told),
            pa.array(buffers[ticker].trade_ids, pa.large_string()),
        )
        for ticker, rows in read.items()
    ]


def feed_files(decoder: Decoder, paths: list[Path]) -> list[str]:
    """Decode capture files that follow one another in time; returns the first refusals of each in words.

    DataError for a line that is no capture line, and for a file of which more than one frame in ten is
    refused.
    """
    notes: list[str] = []
    for path in paths:
        decoder.start_file()
        refused: list[str] = []
        n_frames = 0
        for entry in read_entries(path, decoder.counters):
            if isinstance(entry, ConnectionNote):
                decoder.take_note(entry)
                continue
            if isinstance(entry, ConnectionEnd):
                decoder.end_connection(entry)
                continue
            n_frames += 1
            try:
                decoder.feed(entry)
            except DataError as err:
                refused.append(f"{path.name}: line {entry.line}: {err}")
        if len(refused) >= _REFUSED_AT_LEAST and len(refused) * _REFUSED_ONE_IN > n_frames:
            raise DataError(
                f"{path}: {len(refused)} of {n_frames} frames cannot be read, the first: {refused[0]}; "
                "record the file again, or take those lines out (gaps are then recorded)"
            )
        notes += [f"put aside: {text}" for text in refused[:_NAMED]]
    return notes


def _provenance(rows: MarketRows) -> Provenance:
    """Provenance of recorded rows: without any snapshot only prints tell of the book."""
    return "recorded" if (rows.kind == SNAPSHOT).any() else "trade_implied"


def _recordings(paths: list[Path]) -> list[list[Path]]:
    """Files in order of time, split where one begins before the one before it ends."""
    spans = sorted((*span_ns(path), path) for path in paths)
    recordings: list[list[Path]] = []
    ends: list[int] = []
    for first_ns, last_ns, path in spans:
        for i, end in enumerate(ends):
            if first_ns >= end:
                recordings[i].append(path)
                ends[i] = last_ns
                break
        else:
            recordings.append([path])
            ends.append(last_ns)
    return recordings
