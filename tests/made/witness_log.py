"""Log of a witnessed exchange (``witness_exchange.py``): true books by version, frames by connection."""

import json
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path

#: (side, price on the YES scale, 1e-4 dollar) -> size, 1e-2 contract.
Levels = dict[tuple[int, int], int]


@dataclass
class TrueBook:
    """Book of one market, version by version; version v is the book after v changes."""

    offset: int = 0  # changes before the log began
    first: int = -1  # version of the first known book; -1: none
    levels: Levels = field(default_factory=dict)
    changes: list[tuple[int, int, int, int]] = field(default_factory=list)  # (mono_ns, side, price, change)
    at: int = 0  # version of ``levels``
    disagreements: int = 0  # books told by the core that are not what the changes make of the one before

    def told(self, version: int, levels: Levels) -> None:
        """Take the core's own book; the first begins, every other one must be what the changes make."""
        if self.first < 0:
            self.first, self.levels, self.at = version, dict(levels), version
        elif self.book(version) != levels:
            self.disagreements += 1

    def book(self, version: int) -> Levels:
        """Levels of a version at or after the first; do not keep them."""
        assert version >= self.first >= 0, (version, self.first)
        step = 1 if version >= self.at else -1
        while self.at != version:
            _, side, price, change = self.changes[self.at - self.offset - (step < 0)]
            left = self.levels.get((side, price), 0) + step * change
            if left:
                self.levels[side, price] = left
            else:
                self.levels.pop((side, price), None)
            self.at += step
        return self.levels

    def since_ns(self, version: int) -> int | None:
        """Time from which on the book had a higher version; None: it never had."""
        after = self.changes[version - self.offset : version - self.offset + 1]
        return after[0][0] if after else None

    def changed_ns(self, version: int) -> int | None:
        """Time of the change that made a version; None where the log does not know it."""
        return self.changes[version - self.offset - 1][0] if version > self.offset else None

    def version_at(self, mono_ns: int) -> int:
        """Version of the book at a time."""
        return self.offset + bisect_right(self.changes, mono_ns, key=lambda change: change[0])


@dataclass
class WitnessLog:
    """All of a log."""

    books: dict[str, TrueBook] = field(default_factory=dict)
    told: dict[tuple[int, int, int], tuple[str, int]] = field(default_factory=dict)  # conn, sid, seq
    sent: dict[int, list[str]] = field(default_factory=dict)
    sent_ns: dict[int, list[int]] = field(default_factory=dict)  # when each of them was handed to its socket
    lies: list[tuple[int, str]] = field(default_factory=list)  # (mono_ns, ticker)

    def book(self, ticker: str) -> TrueBook:
        """Book of a market."""
        return self.books.setdefault(ticker, TrueBook())


def read_log(path: Path) -> WitnessLog:
    """Read a log as far as it is written."""
    log = WitnessLog()
    with path.open() as file:
        for line in file:
            kind, *entry = json.loads(line)
            if kind == "c":
                mono_ns, ticker, *change = entry
                log.book(ticker).changes.append((mono_ns, *change))
            elif kind == "b":
                ticker, version, bids, asks = entry
                levels = {(0, price): qty for price, qty in bids} | {(1, price): qty for price, qty in asks}
                log.book(ticker).told(version, levels)
            elif kind == "t":
                conn, sid, seq, ticker, version = entry
                log.told[conn, sid, seq] = (ticker, version)
            elif kind == "s":
                conn, mono_ns, texts = entry
                log.sent.setdefault(conn, []).extend(texts)
                log.sent_ns.setdefault(conn, []).extend([mono_ns] * len(texts))
            elif kind == "v":
                log.book(entry[0]).offset = entry[1]
            else:
                assert kind == "l", kind
                log.lies.append((entry[0], entry[1]))
    return log
