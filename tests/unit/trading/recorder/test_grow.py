"""Recording days: a dataset grows by the next day, facts keep the time at which each was known."""

from pathlib import Path
from typing import Any

from made.recorder_runs import DAY, T0, A, S, record

from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.data.dataset.grow import add_to_dataset
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.domain.units import parse_rfc3339
from kalshi_platform.trading.recorder.facts.facts_file import FactsFile

PLANNED, MOVED, LATER = "2026-12-01T05:00:00Z", "2026-12-02T05:00:00Z", "2026-12-03T05:00:00Z"


def tell(out: Path, run: int, answers: list[tuple[int, str]], **fields: Any) -> None:
    """REST's answers of one run: (seconds after T0, close)."""
    facts = FactsFile(out, f"run{run}")
    for second, close in answers:
        market = {
            "ticker": A, "event_ticker": "KXDEMO-26DEC01", "series_ticker": "KXDEMO", "close_time": close,
            "open_time": "2026-11-01T00:00:00Z", "expected_expiration_time": PLANNED,
            "can_close_early": True, "status": "active", "result": "",
            "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}], **fields,
        }  # fmt: skip
        facts.tell(T0 + second * S, "market", A, market)
    facts.file.close()


def known(dataset: Dataset) -> list[tuple[int | None, int | None]]:
    """(second from which it was known, close) of each step of the market's history."""
    steps = dataset.histories()[A].known
    return [(None if s.known_ns is None else (s.known_ns - T0) // S, s.close_ns) for s in steps]


def test_the_second_day_is_added_and_a_repeated_add_finds_nothing_new(tmp_path):
    out, uri = tmp_path / "recording", str(tmp_path / "dataset")
    record(out, 1, DAY)  # from second 1,000 on
    tell(out, 1, [(1_000, PLANNED), (1_004, MOVED)])
    build_dataset([out], uri, BuildConfig(workers=0))
    first = Dataset.open(uri)
    expected = [(None, parse_rfc3339(PLANNED)), (1_004, parse_rfc3339(MOVED))]
    assert known(first) == expected
    record(out, 2, DAY)
    tell(out, 2, [(2_000, MOVED), (2_003, LATER)])
    grown = add_to_dataset([out], uri, workers=0)
    assert grown.is_new
    second = Dataset.open(uri)
    assert known(second) == [*expected, (2_003, parse_rfc3339(LATER))]
    assert second.manifest.parents
    assert not add_to_dataset([out], uri, workers=0).is_new


def test_an_outcome_of_the_second_day_leaves_the_planned_close_in_what_was_known(tmp_path):
    out, uri = tmp_path / "recording", str(tmp_path / "dataset")
    record(out, 1, DAY)
    tell(out, 1, [(1_000, PLANNED)])
    build_dataset([out], uri, BuildConfig(workers=0))
    settled = {"status": "finalized", "result": "yes", "settlement_value_dollars": "1.0000"}
    tell(out, 2, [(2_000, "2026-11-23T02:31:00Z")], **settled, settlement_ts="2026-11-23T02:31:00Z")
    add_to_dataset([out], uri, workers=0)
    grown = Dataset.open(uri)
    assert grown.settlements()[A].value_e4 == 10_000
    assert known(grown)[0] == (None, parse_rfc3339(PLANNED))
    assert grown.histories()[A].close_ns == parse_rfc3339("2026-11-23T02:31:00Z")
