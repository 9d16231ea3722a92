"""Capture files of one job to pieces: files that follow one another are one recording, decoded together.

A recorder that starts a new file in mid-connection goes on counting. One decoder therefore reads such files
in order of time, and sees no gap where there is none. Files whose times overlap come from different
recorders, and each gets its own decoder (``merging.py`` then keeps the longer record of a market).

No frame shows ``use_yes_price``. With the wrong setting most snapshots come out crossed, as no real book
is: the importer refuses the file and names the other setting.

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
    is_simulated_line,
    parse_line,
    read_lines,
)
from kalshi_platform.data.market_data.decode import Decoder
from kalshi_platform.data.market_data.faults import Origin
from kalshi_platform.data.market_data.importers.pieces import Piece
from kalshi_platform.data.market_data.importers.types import Part
from kalshi_platform.data.market_data.market_meta import check_ticker
from kalshi_platform.data.market_data.schema import FLAG_START, NO, SNAPSHOT, TRADE, YES, MarketRows
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.market import Provenance
from kalshi_platform.domain.units import DOLLAR_E4

_TICKER: Final = re.compile(rb'market_ticker\\*"\s*:\s*\\*"([^"\\]+)')


class CaptureIndex(NamedTuple):
    """Tickers that one capture file names, and whether it is simulated."""

    mentions: dict[str, int]  # ticker -> how often it is named
    simulated: bool


def index_capture(path: Path) -> CaptureIndex:
    """Index of a capture file, made from the whole of it: a file that is cut off is refused early."""
    seen: Counter[bytes] = Counter()
    simulated: bool | None = None
    for number, line in read_lines(path, MAX_LINE_BYTES):
        if not line:
            continue
        if simulated is None:
            parse_line(line, path, number)
            simulated = is_simulated_line(line)
        elif is_simulated_line(line) != simulated:
            raise DataError(
                f"{path}: line {number} is {'recorded' if simulated else 'simulated'}, the lines before it "
                "are not; take the file apart and import one of the two"
            )
        seen.update(_TICKER.findall(line))
    mentions = {check_ticker(t.decode(errors="replace"), str(path)): n for t, n in seen.items()}
    return CaptureIndex(mentions, bool(simulated))


def import_captures(
    parts: list[Part], use_yes_price: bool, counters: Counter[str], held: Collection[str] = ()
) -> list[Piece]:
    """Pieces of every market of the capture files; counters of whole files go to ``counters``.

    Markets that are ``held`` by the dataset need neither a book nor a trade: a later file may tell no more of
    them than how they ended.
    """
    pieces: list[Piece] = []
    for simulated in (False, True):
        for files in _recordings([Path(p.path) for p in parts if p.simulated == simulated]):
            pieces.extend(_import_recording(files, simulated, use_yes_price, counters, held))
    return pieces


def _import_recording(
    files: list[Path], simulated: bool, use_yes_price: bool, counters: Counter[str], held: Collection[str]
) -> list[Piece]:
    """Pieces of every market of ``files``, which follow one another in time."""
    decoder = Decoder(use_yes_price)
    decoder.feed_files(files)
    counters.update(decoder.counters)
    where, names = "+".join(map(str, files)), "+".join(f.name for f in files)
    found = []
    for ticker in sorted(decoder.markets):
        buffer = decoder.markets.pop(ticker)
        rows, lines = buffer.rows()
        if ticker not in held and not np.isin(rows.kind, (SNAPSHOT, TRADE)).any():
            counters["markets_without_book_or_trade"] += 1
            continue
        provenance = "simulated" if simulated else _provenance(rows)
        told = tuple(buffer.told)
        ids = pa.array(buffer.trade_ids, pa.large_string())
        found.append(Piece(ticker, provenance, rows, Origin(where, "line", lines), names, told, ids))
    _check_price_scale(found, use_yes_price, where, counters)
    return found


def _provenance(rows: MarketRows) -> Provenance:
    """Provenance of recorded rows: without any snapshot only prints tell of the book."""
    return "recorded" if (rows.kind == SNAPSHOT).any() else "trade_implied"


def _recordings(paths: list[Path]) -> list[list[Path]]:
    """Files in order of time, split where one begins before the one before it ends."""
    spans = sorted((*_span(path), path) for path in paths)
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


def _span(path: Path) -> tuple[int, int]:
    """Receive times of the first and the last frame."""
    first, last, last_number = None, b"", 0
    for number, line in read_lines(path, MAX_LINE_BYTES):
        if line:
            first = first or parse_line(line, path, number)
            last, last_number = line, number
    if first is None:
        raise DataError(f"{path}: holds blank lines only; remove it or copy it again")
    return first.recv_ns, parse_line(last, path, last_number).recv_ns


def _check_price_scale(pieces: list[Piece], use_yes_price: bool, where: str, counters: Counter[str]) -> None:
    """Refuse a recording most of whose snapshots are crossed: ``use_yes_price`` is wrong then."""
    two_sided, crossed = 0, 0
    for piece in (p for p in pieces if len(p.rows.kind)):
        sums = _snapshot_tops(piece.rows)
        two_sided += len(sums)
        crossed += int((sums > DOLLAR_E4).sum())
    counters["crossed_snapshots"] += crossed
    if crossed * 2 > two_sided:
        raise DataError(
            f"{where}: {crossed} of {two_sided} two-sided snapshots are crossed with "
            f"use_yes_price={use_yes_price}; import it with use_yes_price={not use_yes_price}"
        )


def _snapshot_tops(rows: MarketRows) -> np.ndarray:
    """Best YES bid + best NO bid of every snapshot that has both sides, 1e-4 dollar."""
    is_snapshot = rows.kind == SNAPSHOT
    which = np.cumsum(is_snapshot & ((rows.flags & FLAG_START) != 0))
    best = np.full((2, int(which[-1]) + 1), -1, np.int64)
    for side in (YES, NO):
        level = is_snapshot & (rows.side == side)
        np.maximum.at(best[side], which[level], rows.price_e4[level])
    sums: np.ndarray = best.sum(axis=0)[(best >= 0).all(axis=0)]
    return sums
