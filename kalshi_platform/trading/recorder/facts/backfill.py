"""Back-fill: public trades and candlesticks that the stream did not bring, each once.

Trades     of every market, from before its first frame and over every hole, by ``trade_id``: a trade that the
           stream brought, or that was back-filled before, is not written again.
Invariant  an incomplete list is written as far as it goes and asked for again; it never counts as done.
Not here   joining trades to a book (``data/market_data/importers/joining.py``).
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic_core import from_json

from kalshi_platform.domain.errors import PlatformError
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.trading.exchange.public_answers import CandleAnswer
from kalshi_platform.trading.recorder.facts.facts_file import LineFile, mend_files
from kalshi_platform.trading.recorder.facts.reads import PublicReads

#: Trades, and candles, remembered by name, at 150 bytes each; an older one that REST tells again is written
#: again, and importers know it by its id.
_REMEMBERED: Final = 500_000
#: Seconds around a hole that are asked for too: REST and stream tell times of their own.
_AROUND_NS: Final = 5 * NS_PER_SECOND
#: Candles of one question: a span of months has more than the exchange answers at once.
_CANDLES: Final = 4_000
_MINUTE_NS: Final = 60 * NS_PER_SECOND


class Backfill:
    """Trades and candles of one run."""

    def __init__(self, reads: PublicReads, folder: Path, run: str) -> None:
        """Write below ``folder``; ids that earlier runs wrote there are known."""
        self._reads = reads
        self._seen, self._seen_candles = _Names(), _Names()
        self._load(folder)
        self._trades = LineFile(folder / "trades" / f"{run}.jsonl")
        self._candles = LineFile(folder / "candles" / f"{run}.jsonl")
        self.files = (self._trades, self._candles)
        self.trades = self.repeated = self.candles = 0
        self.open: dict[str, str] = {}  # market -> why its trades are not complete
        self.open_candles: dict[str, str] = {}  # market -> why its candles were not told

    def saw(self, message: Mapping[str, Any]) -> None:
        """Note a trade that the stream brought."""
        msg = message.get("msg")
        if isinstance(msg, Mapping) and isinstance(msg.get("trade_id"), str):
            self._seen.add(msg["trade_id"])

    async def fill_trades(self, ticker: str, since_ns: int, until_ns: int, known_ns: int) -> int:
        """Write the trades of a market in a span that nobody wrote yet; returns how many."""
        since_ns, until_ns = since_ns - _AROUND_NS, until_ns + _AROUND_NS
        try:
            pages = await self._reads.trades(ticker=ticker, since_ns=since_ns, until_ns=until_ns)
        except PlatformError as err:
            self.open[ticker] = str(err)
            return 0
        new = [trade.raw for trade in reversed(pages.items) if self._seen.add(trade.trade_id)]
        self.repeated += len(pages.items) - len(new)
        if new:
            self._trades.append([{"known_ns": known_ns, "trades": new}])
            self.trades += len(new)
        if pages.complete:
            self.open.pop(ticker, None)
        else:
            self.open[ticker] = str(pages.why)
        return len(new)

    async def fill_candles(
        self, series: str, ticker: str, since_ns: int, until_ns: int, known_ns: int
    ) -> int:
        """Write the one-minute candles of a span that nobody wrote yet; returns how many."""
        since_ns, until_ns = since_ns // _MINUTE_NS * _MINUTE_NS, until_ns // _MINUTE_NS * _MINUTE_NS
        if until_ns <= since_ns:
            return 0
        written = 0
        for begin_ns in range(since_ns, until_ns, _CANDLES * _MINUTE_NS):
            end_ns = min(begin_ns + _CANDLES * _MINUTE_NS, until_ns)
            try:
                candles = await self._reads.candles(series, ticker, begin_ns, end_ns)
            except PlatformError as err:
                self.open_candles[ticker] = str(err)
                return written
            written += self._write_candles(ticker, candles, known_ns)
        self.open_candles.pop(ticker, None)
        return written

    def _write_candles(self, ticker: str, candles: Iterable[CandleAnswer], known_ns: int) -> int:
        """Write those candles that nobody wrote yet; returns how many."""
        new = [c.raw for c in candles if self._seen_candles.add(_candle_name(ticker, c.end_ns))]
        if new:
            self._candles.append([{"known_ns": known_ns, "ticker": ticker, "candlesticks": new}])
            self.candles += len(new)
        return len(new)

    def _load(self, folder: Path) -> None:
        """Remember what earlier runs wrote, the newest first, as far as memory reaches."""
        for kind, names_of, memory in (
            ("trades", _trade_names, self._seen), ("candles", _candle_names, self._seen_candles),
        ):  # fmt: skip
            mend_files(folder / kind)
            newest: list[str] = []
            for path in sorted((folder / kind).glob("*.jsonl"), reverse=True):
                for line in reversed(path.read_bytes().splitlines()):
                    newest += reversed(list(names_of(from_json(line))))
                if len(newest) >= _REMEMBERED:
                    break
            for name in reversed(newest[:_REMEMBERED]):
                memory.add(name)


class _Names:
    """The last names that were seen."""

    def __init__(self) -> None:
        self._names: OrderedDict[str, None] = OrderedDict()

    def add(self, name: str) -> bool:
        """Remember a name; True for one not seen before."""
        if name in self._names:
            return False
        self._names[name] = None
        if len(self._names) > _REMEMBERED:
            self._names.popitem(last=False)
        return True


def _trade_names(record: Mapping[str, Any]) -> Iterable[str]:
    """Names of the trades of one line."""
    return [trade["trade_id"] for trade in record["trades"]]


def _candle_names(record: Mapping[str, Any]) -> Iterable[str]:
    """Names of the candles of one line."""
    return [
        _candle_name(record["ticker"], c["end_period_ts"] * NS_PER_SECOND) for c in record["candlesticks"]
    ]


def _candle_name(ticker: str, end_ns: int) -> str:
    """Name of the candle of a market that ends at ``end_ns``."""
    return f"{ticker}@{end_ns}"
