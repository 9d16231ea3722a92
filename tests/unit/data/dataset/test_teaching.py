"""No outcome of a held-out event reaches a row that teaches; held-out rows know what was public."""

import json

import numpy as np
import pytest
from made.market_files import T0, quote, write

from kalshi_platform.data.dataset.blocks import Stratum
from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.data.dataset.factors import FactorRule, Factors
from kalshi_platform.data.dataset.grow import add_to_dataset
from kalshi_platform.data.dataset.shard import read_rows
from kalshi_platform.data.dataset.split import SplitConfig
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.data.dataset.teaching import taught_history
from kalshi_platform.data.features.spec import RESOLUTION
from kalshi_platform.data.market_data.market_meta import MarketRecord
from kalshi_platform.domain.market import MarketSpec, Settlement

DAY_S = 86_400


def record(event, known_ns, value_e4=10_000):
    spec = MarketSpec(ticker=f"{event}-A", event=event, series="RAIN", category="Climate and Weather")
    return MarketRecord(spec, Settlement(ticker=spec.ticker, value_e4=value_e4, determined_ns=known_ns), True)


def rate(history, event, at_ns):
    """Mean outcome of similar markets that a market of ``event`` knows at ``at_ns``."""
    known = history.of(MarketSpec(ticker=f"{event}-A", event=event, series="RAIN"))
    return known.values[np.searchsorted(known.known_ns, at_ns, side="right"), 1]


def test_a_learner_knows_outcomes_of_train_alone_and_the_others_know_all():
    parts = {"T": "train", "U": "train", "V": "validation", "X": "test", "J": "judge_only", "O": None}
    records = [record("U", 10), *(record(event, 20, 0) for event in "VXJ")]
    history = taught_history(records, parts, (), Factors((), ()), ())
    assert rate(history, "T", 30) == 1.0
    for event in ("V", "X", "J", "NEW"):
        assert rate(history, event, 30) < 1.0


@pytest.mark.parametrize(
    ("known_ns", "shown"), [(5, 1), (40, 1), (59, 1), (60, 0), (90, 0), (250, 1), (260, 0)]
)
def test_an_outcome_of_no_split_teaches_if_it_was_public_in_the_train_time_of_its_factor(known_ns, shown):
    told = {"factor": "weather", "provenances": ("quotes",), "block_ns": 10, "embargo_ns": 10}
    strata = (
        Stratum(name="weather", first_ns=10, last_ns=100, train_to_ns=60, validation_from_ns=70, **told),
        Stratum(name="weather.2", first_ns=200, last_ns=300, train_to_ns=260, validation_from_ns=270, **told),
    )
    for parts in ({"T": "train"}, {"T": "train", "OLD": None}):
        history = taught_history([record("OLD", known_ns)], parts, strata, Factors((), ()), ())
        assert rate(history, "T", 1_000) == (1.0 if shown else 0.5)


def recording(folder, days, flipped=(), name="w"):
    """Quotes of one event a day and metadata with the outcome of each, public when the day is over."""
    folder.mkdir(exist_ok=True)
    events = {day: f"KXHIGHNY-{day:03}" for day in days}
    rows = [
        quote(f"{event}-A", day * DAY_S + 600 * k, 4_000 + 100 * (k % 9), 5_500)
        for day, event in events.items()
        for k in range(60)
    ]
    facts = [
        {
            "ticker": f"{event}-A",
            "event_ticker": event,
            "series_ticker": "KXHIGHNY",
            "category": "Climate and Weather",
            "status": "finalized",
            "result": "yes" if (day % 3 == 0) != (event in flipped) else "no",
            "settlement_ts": f"{np.datetime64(T0 + (day + 1) * DAY_S, 's')}Z",
        }
        for day, event in events.items()
    ]
    (folder / f"{name}.json").write_text(json.dumps({"markets": facts}))
    return write(folder / f"{name}.parquet", rows), folder / f"{name}.json"


def bytes_of(dataset, events):
    return {e: [(t, rows.features.tobytes()) for t, rows in read_rows(dataset, e)] for e in events}


def built(folder, inputs, **split):
    build_dataset(list(inputs), folder, BuildConfig(workers=0, split=SplitConfig(**split)))
    return Dataset.open(folder)


OCTOBER = (FactorRule(prefix="KXHIGHNY-01", factor="october"),)


@pytest.mark.parametrize("split", [{}, {"factors": OCTOBER}])
def test_flipped_outcomes_of_held_out_events_leave_every_training_row_as_it_was(tmp_path, split):
    first = built(tmp_path / "one", recording(tmp_path / "a", range(40)), **split)
    parts = first.manifest.assignments()
    held_out = {e for e, part in parts.items() if part in ("validation", "test", "judge_only")}
    train = first.manifest.events("train")
    assert len(held_out) >= 4
    assert len(train) >= 10
    second = built(tmp_path / "two", recording(tmp_path / "b", range(40), held_out), **split)
    assert second.manifest.assignments() == parts
    assert bytes_of(second, train) == bytes_of(first, train)
    later = first.manifest.events("test")[-1:]
    assert bytes_of(second, later) != bytes_of(first, later)  # they know what was public, as live does


def test_training_rows_do_not_know_the_held_out_outcomes_of_another_factor(tmp_path):
    # Days 10 to 19 are a factor of their own. Its test days are over when day 25, train of the weather, is
    # recorded, and their series is the same.
    first = built(tmp_path / "one", recording(tmp_path / "a", range(40)), factors=OCTOBER)
    parts = first.manifest.assignments()
    assert any(part == "test" and event.startswith("KXHIGHNY-01") for event, part in parts.items())
    assert parts["KXHIGHNY-025"] == "train"
    ((_, rows),) = read_rows(first, "KXHIGHNY-025")
    known = [day for day in range(25) if parts[f"KXHIGHNY-{day:03}"] == "train"]
    assert 10 < len(known) < 25
    rated = sum(day % 3 == 0 for day in known) / len(known)
    assert rows.features[-1, RESOLUTION.start] == pytest.approx(rated)


def test_a_repeated_build_and_a_growth_find_their_jobs_done(tmp_path):
    inputs = recording(tmp_path / "a", range(40))
    first = built(tmp_path / "one", inputs)
    jobs = []
    config = BuildConfig(workers=0)
    build_dataset(list(inputs), tmp_path / "one", config, lambda p: jobs.append(p.reused == p.jobs))
    assert all(jobs)
    more = recording(tmp_path / "a", (45, 46), name="more")
    grown = add_to_dataset(list(more), tmp_path / "one", workers=0)
    assert grown.joined == {"KXHIGHNY-045": "test", "KXHIGHNY-046": "test"}
    now = Dataset.open(tmp_path / "one")
    assert bytes_of(now, first.manifest.events()) == bytes_of(first, first.manifest.events())
    assert not any(m.older_outcomes for m in now.manifest.markets)
