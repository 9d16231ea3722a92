"""Building a dataset: all or nothing, repeatable to the byte, resumable, and never over another dataset."""

import os

import numpy as np
import pytest
from made.fake_import import NS_PER_DAY, FakeImport
from made.strategies import START_NS

from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.data.dataset.inspect import find_problems, summarise
from kalshi_platform.data.dataset.manifest import MANIFEST_NAME
from kalshi_platform.data.dataset.runner import paying_workers
from kalshi_platform.data.dataset.shard import read_rows
from kalshi_platform.data.dataset.split import SplitConfig
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.data.features.kernel import build_rows
from kalshi_platform.data.features.resolution import ResolutionHistory
from kalshi_platform.data.features.rows import Rows
from kalshi_platform.data.features.spec import FEATURE_DIGEST, RESOLUTION
from kalshi_platform.data.market_data import schema
from kalshi_platform.data.market_data.market_meta import MarketRecord
from kalshi_platform.domain.errors import ChecksumError, ContractError, DataError, StorageError
from kalshi_platform.domain.market import MarketSpec, Settlement
from kalshi_platform.storage.storage import Storage

EVENTS = tuple(f"EV{i}" for i in range(6))


@pytest.fixture
def fake(tmp_path, monkeypatch):
    folder = tmp_path / "sources"
    folder.mkdir()
    fake = FakeImport(folder, EVENTS)
    fake.install(monkeypatch)
    return fake


def build(out, **changes):
    return build_dataset([], out, BuildConfig(workers=0, **changes))


def files(root):
    """Every file of a dataset but its journal, which only a resumed build reads."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and ".build" not in path.parts
    }


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
    with pytest.raises(DataError, match=r"has no manifest\.json"):
        Dataset.open(tmp_path / "out")


def test_a_repeated_build_redoes_only_what_was_not_finished(fake, tmp_path):
    build(tmp_path / "unbroken")
    fake.broken = {"EV3"}
    with pytest.raises(DataError):
        build(tmp_path / "out")
    fake.broken, fake.ran = set(), []
    build(tmp_path / "out")
    assert fake.ran == ["EV3", "EV4", "EV5"]
    assert files(tmp_path / "out") == files(tmp_path / "unbroken")


def test_a_shard_lost_or_cut_short_since_is_made_again(fake, tmp_path):
    build(tmp_path / "out")
    whole = files(tmp_path / "out")
    shards = sorted((tmp_path / "out" / "events").iterdir())
    shards[0].unlink()
    os.truncate(shards[1], 10)
    fake.ran = []
    build(tmp_path / "out", overwrite=True)
    assert fake.ran == ["EV0", "EV1"]
    assert files(tmp_path / "out") == whole


@pytest.mark.parametrize("junk", [b"", b"{}", b"not json"])
def test_a_damaged_journal_record_is_only_done_again(fake, tmp_path, junk):
    build(tmp_path / "out")
    whole = files(tmp_path / "out")
    next((tmp_path / "out" / ".build").iterdir()).write_bytes(junk)
    fake.ran = []
    build(tmp_path / "out", overwrite=True)
    assert len(fake.ran) == 1
    assert files(tmp_path / "out") == whole


def test_changed_sources_and_changed_code_reuse_nothing(fake, tmp_path, monkeypatch):
    build(tmp_path / "out")
    fake.ran = []
    (fake.folder / "EV2.source").write_text("EV2, corrected")
    build(tmp_path / "out", overwrite=True)
    assert fake.ran == ["EV2"]
    fake.ran = []
    monkeypatch.setattr("kalshi_platform.data.dataset.journal.code_digest", lambda: "a changed kernel")
    build(tmp_path / "out", overwrite=True)
    assert fake.ran == list(EVENTS)


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
    with pytest.raises(DataError, match=r"has no manifest\.json"):
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


def test_the_summary_adds_up(fake, tmp_path):
    build(tmp_path / "out")
    summary = summarise(Dataset.open(tmp_path / "out"))
    assert (summary.events, summary.markets, summary.settled_markets) == (6, 12, 6)
    assert summary.provenance == {"recorded": 12}
    assert sum(s.events for s in summary.splits.values()) == 6
    assert sum(s.rows for s in summary.splits.values()) == summary.rows
    assert summary.readable
    assert summary.n_bytes == sum(
        len(data) for name, data in files(tmp_path / "out").items() if name != MANIFEST_NAME
    )


@pytest.mark.parametrize("folder", ["events", "features"])
def test_verification_names_a_damaged_and_a_missing_shard(fake, tmp_path, folder):
    build(tmp_path / "out")
    damaged, missing = sorted(p for p in (tmp_path / "out" / folder).rglob("*") if p.is_file())[:2]
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"\0\0")
    missing.unlink()
    dataset = Dataset.open(tmp_path / "out")
    problems = find_problems(dataset)
    assert len(problems) == 2
    assert any(str(damaged) in line and "sha256" in line for line in problems)
    assert any(str(missing) in line for line in problems)
    if folder == "features":
        with pytest.raises(ChecksumError, match=str(damaged)):
            read_rows(dataset, "EV0")


def test_verification_names_a_market_whose_figures_differ(fake, tmp_path):
    manifest = build(tmp_path / "out")
    wrong = manifest.markets[0].replace(n_events=1, n_rows=2, settled=False)
    changed = manifest.replace(markets=(wrong, *manifest.markets[1:]))
    (tmp_path / "out" / MANIFEST_NAME).write_bytes(changed.to_bytes())
    problems = find_problems(Dataset.open(tmp_path / "out"))
    assert len(problems) == 3
    assert all("EV0-A" in line for line in problems)


@pytest.mark.parametrize(
    ("rows", "cores", "workers"), [(0, 8, 1), (999_999, 8, 1), (3_500_000, 8, 3), (50_000_000, 8, 8)]
)
def test_workers_are_started_only_where_they_pay(rows, cores, workers):
    assert paying_workers(rows, cores) == workers
