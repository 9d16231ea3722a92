"""Building a dataset: all or nothing, repeatable to the byte, resumable, and never over another dataset."""

import numpy as np
import pytest
from made.fake_import import EVENTS, NS_PER_DAY, build, files
from made.market_files import quote, trade, write
from made.strategies import START_NS

from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.data.dataset.factors import FactorRule
from kalshi_platform.data.dataset.inspect import find_problems, summarise
from kalshi_platform.data.dataset.manifest import MANIFEST_NAME, JoinedFiles
from kalshi_platform.data.dataset.shard import read_rows
from kalshi_platform.data.dataset.split import SplitConfig
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.data.features.kernel import build_rows
from kalshi_platform.data.features.resolution import ResolutionHistory
from kalshi_platform.data.features.rows import Rows
from kalshi_platform.data.features.spec import FEATURE_DIGEST, RESOLUTION
from kalshi_platform.data.market_data import schema
from kalshi_platform.data.market_data.market_meta import MarketRecord
from kalshi_platform.domain.errors import ContractError, DataError, StorageError
from kalshi_platform.domain.market import MarketSpec, Settlement
from kalshi_platform.storage.storage import Storage


def test_a_disk_without_room_is_refused_before_anything_is_written(fake, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("kalshi_platform.storage.room.free_disk_bytes", lambda place: 1_000)
        with pytest.raises(StorageError, match=r"a dataset of 600 rows needs about .* GB are free"):
            build(tmp_path / "out")
    assert fake.ran == []
    assert files(tmp_path / "out") == {}
    build(tmp_path / "out")
    assert fake.ran == list(EVENTS)


def test_the_dataset_holds_events_and_their_features(fake, tmp_path):
    manifest = build(tmp_path / "out")
    dataset = Dataset.open(tmp_path / "out")
    assert dataset.manifest == manifest
    assert manifest.feature_digest == FEATURE_DIGEST
    assert manifest.events() == EVENTS
    assert manifest.counters == {"duplicates": 6, "frames:ok:": 2}
    for event in EVENTS:
        for ticker, rows in read_rows(dataset, event):
            recorded = dataset.rows_of(ticker)
            entry = dataset.entry(ticker)
            assert (entry.n_events, entry.n_rows) == (recorded.recv_ns.size, rows.recv_ns.size)
            assert entry.n_gaps == np.count_nonzero(recorded.kind == schema.GAP)
            assert entry.settled == (ticker in dataset.settlements())
            for name, have, want in zip(
                Rows._fields, rows, build_rows(recorded, dataset.specs()[ticker]), strict=True
            ):
                np.testing.assert_array_equal(have, want, name)
    assert find_problems(dataset) == []


def test_no_event_is_in_two_splits(fake, tmp_path):
    manifest = build(tmp_path / "out")
    splits = {}
    for market in manifest.markets:
        splits.setdefault(market.event, set()).add(market.split)
    assert all(len(found) == 1 for found in splits.values())
    assert {split for found in splits.values() for split in found} == {"train", "validation", "test"}


def test_every_split_holds_the_few_events_with_a_recorded_market(fake, tmp_path):
    fake.events = tuple(f"EV{i:02}" for i in range(24))
    fake.provenance = {f"{event}-{name}": "trade_implied" for event in fake.events for name in "AB"}
    for event in fake.events[:3]:
        del fake.provenance[f"{event}-B"]
    manifest = build(tmp_path / "out")
    recorded = {m.split for m in manifest.markets if m.provenance == "recorded"}
    assert recorded == {"train", "validation", "test"}
    assert len(manifest.events("train")) == 1 + round(21 * 250 / 300)


def test_two_builds_are_equal_byte_for_byte(fake, tmp_path):
    build(tmp_path / "a")
    build(tmp_path / "b")
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_one_refused_file_refuses_the_build_and_leaves_nothing_readable(fake, tmp_path):
    fake.broken = {"EV3"}
    with pytest.raises(DataError, match=r"EV3\.source: row 7: price 12000"):
        build(tmp_path / "out")
    with pytest.raises(DataError, match=r"manifest\.json"):
        Dataset.open(tmp_path / "out")


def test_the_same_command_on_a_complete_dataset_does_nothing(fake, tmp_path):
    first = build(tmp_path / "out")
    whole = files(tmp_path / "out")
    fake.ran = []
    assert build(tmp_path / "out") == first
    assert fake.ran == []
    assert files(tmp_path / "out") == whole


def outcome(event, known_ns, value_e4, series):
    spec = MarketSpec(ticker=f"{event}-A", event=event, series=series, category=f"About {series}")
    return MarketRecord(spec, Settlement(ticker=spec.ticker, value_e4=value_e4, determined_ns=known_ns), True)


def test_rows_know_other_markets_outcomes_and_a_new_one_rebuilds_only_those_it_can_teach(fake, tmp_path):
    fake.settled = (outcome("OLD", START_NS, 10_000, "RAIN"), outcome("EV1", START_NS + 1, 0, "RAIN"))
    for event, series in (("EV0", "RAIN"), ("EV1", "RAIN"), ("EV2", "SNOW")):
        fake.markets[f"{event}-A"] = outcome(event, None, 0, series)
    build(tmp_path / "out")
    dataset = Dataset.open(tmp_path / "out")
    history = ResolutionHistory(fake.settled)
    rates = {}
    for event in ("EV0", "EV1", "EV2"):
        rows = dict(read_rows(dataset, event))[f"{event}-A"]
        spec = fake.markets[f"{event}-A"].spec
        again = build_rows(dataset.rows_of(spec.ticker), spec, history.of(spec))
        assert rows.features.tobytes() == again.features.tobytes()
        rates[event] = float(rows.features[-1, RESOLUTION.start])
    assert rates == {"EV0": 0.5, "EV1": 1.0, "EV2": 0.5}  # 1 and 0; 1 without its own 0; nothing known
    fake.ran = []
    build(tmp_path / "out")
    assert fake.ran == []
    fake.settled = (*fake.settled[::-1], outcome("NEW", START_NS, 10_000, "SNOW"))
    build(tmp_path / "out", overwrite=True)
    assert fake.ran == ["EV2"]
    build(tmp_path / "fresh")
    assert files(tmp_path / "out") == files(tmp_path / "fresh")


@pytest.mark.parametrize("change", ["events", "salt", "fewer"])
def test_another_dataset_is_not_overwritten_unasked(fake, tmp_path, change):
    build(tmp_path / "out")
    whole = files(tmp_path / "out")
    settings = {"split": SplitConfig(salt="another")} if change == "salt" else {}
    fake.events = {"events": ("NEW1", "NEW2", "NEW3"), "fewer": EVENTS[:4]}.get(change, EVENTS)
    fake.ran = []
    with pytest.raises(ContractError, match="give --overwrite"):
        build(tmp_path / "out", **settings)
    assert fake.ran == []
    assert files(tmp_path / "out") == whole
    build(tmp_path / "out", overwrite=True, **settings)
    build(tmp_path / "fresh", **settings)
    assert files(tmp_path / "out") == files(tmp_path / "fresh")


def test_the_old_dataset_stays_readable_until_its_replacement_is_complete(fake, tmp_path):
    build(tmp_path / "out")
    for event in EVENTS:
        (fake.folder / f"{event}.source").write_text(f"{event}, corrected")
    fake.broken = {"EV5"}
    with pytest.raises(DataError):
        build(tmp_path / "out", overwrite=True)
    assert find_problems(Dataset.open(tmp_path / "out")) == []


def test_files_of_other_people_survive_an_overwrite_and_leftovers_of_a_kill_do_not(fake, tmp_path):
    build(tmp_path / "out")
    (tmp_path / "out" / "events" / "notes.parquet").write_text("mine")
    leftover = tmp_path / "out" / "events" / ".EV1.0123.parquet.4711.partial"
    leftover.write_text("half")
    fake.events = EVENTS[:4]
    build(tmp_path / "out", overwrite=True)
    assert (tmp_path / "out" / "events" / "notes.parquet").read_text() == "mine"
    assert not leftover.exists()


def test_a_full_disk_while_the_manifest_is_written_leaves_no_dataset(fake, tmp_path, monkeypatch):
    write = Storage.write_bytes_atomic

    def full(self, path, data):
        if path == MANIFEST_NAME:
            raise StorageError(f"cannot write {path}: No space left on device; disk full")
        write(self, path, data)

    monkeypatch.setattr(Storage, "write_bytes_atomic", full)
    with pytest.raises(StorageError, match="disk full"):
        build(tmp_path / "out")
    monkeypatch.undo()
    with pytest.raises(DataError, match=r"manifest\.json"):
        Dataset.open(tmp_path / "out")


def test_progress_counts_jobs_and_says_what_was_reused(fake, tmp_path):
    fake.broken = {"EV4"}
    with pytest.raises(DataError):
        build(tmp_path / "out")
    fake.broken = set()
    seen = []
    build_dataset([], tmp_path / "out", BuildConfig(workers=0), seen.append)
    assert [(p.jobs_done, p.rows_done, p.reused) for p in seen] == [(4, 400, 4), (5, 500, 4), (6, 600, 4)]
    assert {(p.jobs, p.rows) for p in seen} == {(6, 600)}


def test_embargoed_events_are_left_out_and_counted(fake, tmp_path):
    # Event i begins on day i and lasts minutes; the cut is noon of day 2, the embargo takes days 2 and 3.
    split = SplitConfig(time_cut_ns=START_NS + int(2.5 * NS_PER_DAY), embargo_ns=int(0.6 * NS_PER_DAY))
    manifest = build(tmp_path / "out", split=split)
    assert manifest.events("train") == ("EV0", "EV1")
    assert set(manifest.events()) == {"EV0", "EV1", "EV4", "EV5"}
    assert manifest.counters["markets_left_out_by_embargo"] == 4
    assert find_problems(Dataset.open(tmp_path / "out")) == []


def test_a_time_cut_after_all_data_is_refused(fake, tmp_path):
    with pytest.raises(ContractError, match="leaves no event in test, validation"):
        build(tmp_path / "out", split=SplitConfig(time_cut_ns=2 * START_NS))


def test_trades_put_beside_books_are_told_with_their_delay(tmp_path):
    write(tmp_path / "t.parquet", [trade(f"E-{m}", 2, 4_200) for m in "AB"])
    write(
        tmp_path / "q.parquet", [quote(f"E-{m}", s, 3_000 + 100 * s, 4_200) for m in "AB" for s in range(6)]
    )
    config = BuildConfig(workers=0)
    manifest = build_dataset([tmp_path / "t.parquet", tmp_path / "q.parquet"], tmp_path / "out", config)
    files = "q.parquet+t.parquet"
    assert manifest.joined == (
        JoinedFiles(files=files, markets=2, prints=2, delay_ns=2 * 10**9 - 1, measured=False),
    )
    assert summarise(Dataset.open(tmp_path / "out")).joined == manifest.joined
    assert find_problems(Dataset.open(tmp_path / "out")) == []
    alone = build_dataset([tmp_path / "q.parquet"], tmp_path / "alone", config)
    assert b"joined" not in alone.to_bytes()  # a dataset without joined prints keeps its digest


def test_lines_of_a_mapping_file_that_fit_no_event_are_counted_and_named(fake, tmp_path):
    lines = (FactorRule(prefix="EV1", factor="tides"), FactorRule(prefix="ev2", factor="tides"))
    manifest = build(tmp_path / "out", split=SplitConfig(factors=lines))
    assert manifest.counters["factor_lines_without_event"] == 1
    assert "--factors: no recorded event of the build begins with ev2" in manifest.notes
    assert {s.factor for s in manifest.strata} == {"tides", "weather"}
