"""One import job to its shards: named after their content, the journal's record written last."""

import hashlib
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from kalshi_platform.data.dataset import job as job_module
from kalshi_platform.data.dataset.events_file import decode_market_rows
from kalshi_platform.data.dataset.job import encode_shard, run_and_record
from kalshi_platform.data.dataset.journal import Journal
from kalshi_platform.data.dataset.shard import decode_rows
from kalshi_platform.data.features.resolution import ResolutionHistory
from kalshi_platform.data.features.spec import FEATURE_DIGEST
from kalshi_platform.data.market_data import schema
from kalshi_platform.data.market_data.importers import ImportedEvent
from kalshi_platform.domain.errors import DataError, StorageError
from kalshi_platform.storage.storage import Storage, open_storage

NOTHING_SETTLED = ResolutionHistory(())


@pytest.fixture
def storage(tmp_path) -> Storage:
    return open_storage(tmp_path / "out")


def test_a_shard_is_named_after_its_content_and_its_kind():
    data = pa.py_buffer(b"rows")
    digest = hashlib.sha256(b"rows").hexdigest()
    events = encode_shard("events", "events/EV", data, "EV").shard
    assert (events.path, events.sha256, events.n_bytes, events.event) == (
        f"events/EV.{digest[:12]}.parquet", digest, 4, "EV",
    )  # fmt: skip
    assert encode_shard("features", "f/EV", data).shard.path == f"f/EV.{digest[:12]}.arrow"
    assert encode_shard("events", "events/EV", pa.py_buffer(b"Rows")).shard.path != events.path


def test_a_job_writes_the_rows_and_features_of_its_event_and_says_what_it_wrote(fake, storage):
    (job,) = fake.jobs(1)[:1]
    built = run_and_record(job, "a" * 12, storage, NOTHING_SETTLED)
    assert {s.kind: s.event for s in built.shards} == {"events": "EV0", "features": "EV0"}
    assert FEATURE_DIGEST in next(s.path for s in built.shards if s.kind == "features")
    files = {s.kind: storage.read_bytes(s.path) for s in built.shards}
    features = dict(decode_rows(files["features"], "x", FEATURE_DIGEST))
    for batch, market in enumerate(built.markets):
        rows = decode_market_rows(files["events"], "x", batch)
        assert market.batch == batch
        assert (market.n_events, market.n_rows) == (rows.kind.size, features[market.spec.ticker].valid.size)
        assert market.n_gaps == np.count_nonzero(rows.kind == schema.GAP)
        assert (market.first_ns, market.last_ns) == (rows.recv_ns[0], rows.recv_ns[-1])
    assert [market.settlement is not None for market in built.markets] == [True, False]
    assert built.counters == {"duplicates": 1}
    assert Journal(storage).finished({"a" * 12}) == {"a" * 12: built}


def test_the_record_comes_after_the_shards(fake, storage, monkeypatch):
    written = []
    write = Storage.write_bytes_atomic
    monkeypatch.setattr(
        Storage,
        "write_bytes_atomic",
        lambda self, path, data: (written.append(path), write(self, path, data)),
    )
    run_and_record(fake.jobs(1)[0], "k", storage, NOTHING_SETTLED)
    assert [path.split("/")[0] for path in written] == ["events", "features", ".build"]


def test_a_shard_that_cannot_be_written_leaves_no_record(fake, storage, monkeypatch):
    def full(self, path, data):
        raise StorageError(f"cannot write {path}")

    monkeypatch.setattr(Storage, "write_bytes_atomic", full)
    with pytest.raises(StorageError, match="cannot write events/EV0"):
        run_and_record(fake.jobs(1)[0], "k", storage, NOTHING_SETTLED)
    assert storage.list_files() == []


def test_an_event_without_usable_markets_makes_no_shard(fake, storage, monkeypatch):
    monkeypatch.setattr(job_module, "run_job", lambda job: [ImportedEvent("EV0", [], Counter(dropped=3))])
    built = run_and_record(fake.jobs(1)[0], "k", storage, NOTHING_SETTLED)
    assert (built.shards, built.markets, built.counters) == ((), (), {"dropped": 3})


def test_rows_that_the_features_refuse_are_told_with_their_source(fake, storage, monkeypatch):
    def backwards(job):
        for event in fake.run_job(job):
            event.markets[0].rows.recv_ns[-1] = 0
            yield event

    monkeypatch.setattr(job_module, "run_job", backwards)
    with pytest.raises(DataError, match=r"source\.parquet: EV0-A: row \d+ .*recv_ns 0, before"):
        run_and_record(fake.jobs(1)[0], "k", storage, NOTHING_SETTLED)
