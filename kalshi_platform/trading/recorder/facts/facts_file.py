"""File of facts: answers of REST about series, events, markets and fees, with the time they became known.

Line       ``{"known_ns": ..., "event": {...}}`` and so on: the exchange's own answer, untouched, in the forms
           that importers read (docs/formats.md, "Markets")
Invariant  an answer that says nothing new is not written again. Lines wait for :meth:`LineFile.flush`, which
           runs on another thread than the event loop: a sync may take long.
Files      ``facts/RUN.jsonl``; back-filled rows ``trades/RUN.jsonl`` and ``candles/RUN.jsonl``. Where the
           exchange is a simulated one those two lie in ``.simulated/``, which ``dataset build`` passes over:
           a trade in JSON cannot carry the mark that its exchange was simulated.
"""

import hashlib
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from pydantic_core import to_json

from kalshi_platform.storage.whole_file import sync

#: Fields of a market that move with every trade: they make no new fact.
_MOVING: Final = frozenset({
    "yes_bid_dollars", "yes_ask_dollars", "yes_bid_size_fp", "yes_ask_size_fp", "no_bid_dollars",
    "no_ask_dollars", "last_price_dollars", "previous_price_dollars", "previous_yes_bid_dollars",
    "previous_yes_ask_dollars", "volume_fp", "volume_24h_fp", "open_interest_fp", "liquidity_dollars",
    "updated_time", "last_updated_ts", "last_updated_time",
})  # fmt: skip


class LineFile:
    """A file of JSON lines that grows; a flush makes durable what was appended."""

    def __init__(self, path: Path) -> None:
        """Append to ``path``, which is made by the first flush: an empty file is refused by importers."""
        self.path = path
        self._waiting: list[bytes] = []
        self._flushing = threading.Lock()
        self._file: int | None = None

    def append(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Add records, one a line."""
        self._waiting += [to_json(record, inf_nan_mode="null") + b"\n" for record in records]

    def flush(self) -> None:
        """Write what waits and sync it; OSError as the system gives it, and everything waits on."""
        with self._flushing:
            waiting = list(self._waiting)
            if not waiting:
                return
            file = self._file = self._open() if self._file is None else self._file
            size, left = os.fstat(file).st_size, memoryview(b"".join(waiting))
            try:
                while left:
                    left = left[os.write(file, left) :]
                os.fsync(file)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(file, size)
                raise
            del self._waiting[: len(waiting)]

    def close(self) -> None:
        """Flush and close the file."""
        self.flush()
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> int:
        """Handle of the file, made where it is absent; a torn last line of an earlier run is cut off."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not self.path.exists()
        file = os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o644)
        _cut_torn(file)
        if is_new:
            sync(self.path.parent)
        return file


class FactsFile:
    """Facts of one run, each written when it is news."""

    def __init__(self, out: Path, run: str) -> None:
        mend_files(out / "facts")
        self.file = LineFile(out / "facts" / f"{run}.jsonl")
        self._known: dict[tuple[str, str], bytes] = {}  # (kind, ticker) -> digest of what was told
        self.written = 0
        self.listeners: list[
            Callable[[int, str, str, Any], None]
        ] = []  # hear (known_ns, kind, ticker, answer)

    def tell(self, known_ns: int, kind: str, ticker: str, answer: Any) -> bool:
        """Write ``answer`` under the key ``kind`` if it is news about ``ticker``; True where it was."""
        digest = hashlib.sha256(to_json(_lasting(answer), inf_nan_mode="null")).digest()
        if self._known.get((kind, ticker)) == digest:
            return False
        self.file.append([{"known_ns": known_ns, kind: answer}])
        self._known[kind, ticker] = digest
        self.written += 1
        for hear in self.listeners:
            hear(known_ns, kind, ticker, answer)
        return True


def _lasting(answer: Any) -> Any:
    """``answer`` without the fields that move with every trade."""
    if isinstance(answer, Mapping):
        return {key: _lasting(value) for key, value in answer.items() if key not in _MOVING}
    if isinstance(answer, list | tuple):
        return [_lasting(entry) for entry in answer]
    return answer


def mend_files(folder: Path) -> None:
    """Cut the torn last line off every file of ``folder`` that a killed run left; one without a line goes."""
    for path in sorted(folder.glob("*.jsonl")):
        file = os.open(path, os.O_RDWR)
        try:
            _cut_torn(file)
            if os.fstat(file).st_size == 0:
                path.unlink()
        finally:
            os.close(file)


def _cut_torn(file: int) -> None:
    """Cut off what follows the last newline."""
    size = os.fstat(file).st_size
    begin = max(size - (1 << 20), 0)
    tail = os.pread(file, size - begin, begin)
    if tail and not tail.endswith(b"\n"):
        os.ftruncate(file, begin + tail.rfind(b"\n") + 1)
