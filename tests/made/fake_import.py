"""An importer for pipeline tests: events from a seed instead of files, failures on demand."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.data.market_data.gaps import GapDetection
from kalshi_platform.data.market_data.importers import ImportedEvent, ImportedMarket, ImportJob, KnownMarkets
from kalshi_platform.data.market_data.importers.plan import IndexedFile
from kalshi_platform.data.market_data.importers.types import Part
from kalshi_platform.data.market_data.market_meta import MarketRecord
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.fee_history import FeeTable
from kalshi_platform.domain.market import MarketSpec, Provenance, Settlement
from kalshi_platform.domain.market_history import constant_history
from kalshi_platform.storage.whole_file import file_digest
from made.strategies import random_rows

NS_PER_DAY = 86_400_000_000_000


@dataclass
class FakeImport:
    """Stands in for ``discover`` and ``run_job``: one source file and one job an event, two markets each."""

    folder: Path
    events: tuple[str, ...]
    broken: set[str] = field(default_factory=set)
    ran: list[str] = field(default_factory=list)
    sources: tuple[str, ...] = ("source.parquet",)
    provenance: dict[str, Provenance] = field(default_factory=dict)  # of a ticker; "recorded" where absent
    skipped: dict[str, str] = field(default_factory=dict)
    settled: tuple[MarketRecord, ...] = ()  # outcomes of other markets that the metadata holds
    markets: dict[str, MarketRecord] = field(default_factory=dict)  # metadata of a ticker
    counters: Counter[str] = field(default_factory=lambda: Counter({"frames:ok:": 2}))
    use_yes_price: list[bool | None] = field(default_factory=list)  # as the builds said
    gap_detection: GapDetection | None = None
    files: tuple[IndexedFile, ...] = ()
    left: tuple[str, ...] | None = None  # events whose file the dataset that grows lacks; None: not asked
    already: tuple[str, ...] = ()
    catalogue: dict[str, MarketRecord] = field(default_factory=dict)
    fees: FeeTable = field(default_factory=FeeTable)
    worlds: tuple[str, ...] = ()

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for module in ("build", "grow"):
            monkeypatch.setattr(f"kalshi_platform.data.dataset.{module}.discover", self.discover)
        monkeypatch.setattr("kalshi_platform.data.dataset.job.run_job", self.run_job)

    def discover(
        self, inputs: object, use_yes_price: bool | None, known: KnownMarkets | None = None
    ) -> "FakeImport":
        """Plan to import ``events``, of which those in ``known`` files are left out."""
        self.use_yes_price.append(use_yes_price)
        records = dict(known.records) if known else {}
        imported = known.imported if known else frozenset()
        left = tuple(e for e in self.events if file_digest(self._source(e)) not in imported)
        return replace(
            self,
            left=left,
            already=tuple(f"{event}.source" for event in self.events if event not in left),
            catalogue=records | self.markets,
            settled=(*self.settled, *(records[t] for t in (known.outcomes if known else ()))),
        )

    def jobs(self, target_rows: int) -> list[ImportJob]:
        return [self._job(event) for event in (self.events if self.left is None else self.left)]

    def _source(self, event: str) -> Path:
        path = self.folder / f"{event}.source"
        if not path.exists():
            path.write_text(event)
        return path

    def _job(self, event: str) -> ImportJob:
        path = self._source(event)
        tickers = (f"{event}-A", f"{event}-B")
        part = Part(path=str(path), kind="trades", tickers=tickers)
        known = {ticker: self.markets[ticker] for ticker in tickers if ticker in self.markets}
        return ImportJob(
            events=(event,), parts=(part,), event_of=dict.fromkeys(tickers, event), markets=known, n_rows=100
        )

    def run_job(self, job: ImportJob) -> Iterator[ImportedEvent]:
        (event,) = job.events
        self.ran.append(event)
        if event in self.broken:
            raise DataError(f"{job.parts[0].path}: row 7: price 12000 outside 0..10000")
        seed = list(Path(job.parts[0].path).read_bytes())
        rng = np.random.default_rng(seed)
        markets = [self._market(event, "A", rng, settled=True), self._market(event, "B", rng, settled=False)]
        yield ImportedEvent(event, markets, Counter(duplicates=1))

    def _market(self, event: str, name: str, rng: np.random.Generator, settled: bool) -> ImportedMarket:
        spec = MarketSpec(ticker=f"{event}-{name}", event=event, category="Climate")
        if spec.ticker in self.markets:
            spec = self.markets[spec.ticker].spec
        rows = random_rows(rng, 200)
        rows.recv_ns[:] += self.events.index(event) * NS_PER_DAY if event in self.events else 0
        settlement = Settlement(ticker=spec.ticker, value_e4=10_000) if settled else None
        provenance = self.provenance.get(spec.ticker, "recorded")
        return ImportedMarket(
            spec,
            settlement,
            constant_history(spec),
            provenance,
            rows,
            "source.parquet",
            spec.tick_e4,
            gap_detection=self.gap_detection,
        )


EVENTS = tuple(f"EV{i}" for i in range(6))


def build(out, **changes):
    return build_dataset([], out, BuildConfig(workers=0, **changes))


def files(root):
    """Every file of a dataset but its journal, which only a resumed build reads."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and ".build" not in path.parts
    }
