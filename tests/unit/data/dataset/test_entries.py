"""Markets of a manifest as a sequence, and as columns; checks of a whole dataset without an object each."""

import json
import tracemalloc

import numpy as np
import pytest
from made.many_markets import write_many
from made.stored import make_dataset, v1_text

from kalshi_platform.data.dataset.manifest import MANIFEST_NAME, Manifest
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.storage.storage import open_storage


def test_entries_behave_as_a_tuple_of_their_entries(tmp_path):
    entries = write_many(tmp_path, 1_000).markets
    listed = tuple(entries)
    assert (len(entries), entries[0], entries[-1]) == (1_000, listed[0], listed[999])
    assert entries[5:9] == list(listed[5:9])
    assert entries == listed
    assert entries != listed[:-1]
    with pytest.raises(IndexError):
        entries[1_000]
    assert [m.ticker for m in entries.of("test")] == [m.ticker for m in listed if m.split == "test"]
    assert entries.numbers("n_rows").tolist() == [m.n_rows for m in listed]
    assert entries.of("test").event_names == tuple(sorted({m.event for m in listed if m.split == "test"}))


def test_entries_are_put_in_the_order_of_a_bank(tmp_path, rng):
    manifest = write_many(tmp_path, 30)
    mixed = manifest.replace(markets=[manifest.markets[at] for at in rng.permutation(30).tolist()])
    assert mixed.markets.columns.order is not None
    mixed.write(open_storage(tmp_path))
    dataset = Dataset.open(tmp_path)
    assert dataset.entries() != manifest.markets
    assert list(dataset.entries().in_order()) == list(manifest.markets)
    assert [dataset.entry(m.ticker) for m in manifest.markets] == list(manifest.markets)
    # The markets file has its own order: rows are found by ticker.
    assert dataset.specs()[manifest.markets[7].ticker].event == manifest.markets[7].event
    rows = dataset.rows_in_markets_file(dataset.entries())
    assert [dataset.markets()[row].spec.ticker for row in rows] == [m.ticker for m in dataset.entries()]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ticker": "EV-B"}, "market EV-B is listed twice"),
        ({"split": "test"}, "event EV is in test and train"),
        ({"event": "ELSE"}, "event ELSE has no events shard"),
        ({"block": "w@1"}, "event EV is in block w@1 and block None"),
    ],
)
def test_markets_that_contradict_each_other_are_refused(tmp_path, rng, change, message):
    _, manifest = make_dataset(tmp_path, rng)
    first, second = manifest.markets
    with pytest.raises(ContractError, match=message):
        manifest.replace(markets=[first.replace(**change), second])


def test_a_block_in_two_parts_is_refused(tmp_path):
    manifest = write_many(tmp_path, 900)
    with pytest.raises(ContractError, match="block w@1 is in train and validation"):
        manifest.replace(markets=(m.replace(block="w@1") for m in manifest.markets))


def test_tables_that_contradict_their_text_are_refused(tmp_path, rng):
    make_dataset(tmp_path, rng)
    path = tmp_path / MANIFEST_NAME
    text = json.loads(path.read_text())
    path.write_text(json.dumps(text | {"n_markets": 7}))
    with pytest.raises(
        DataError, match=rf"{path}: its tables hold \(markets, events\) \(2, 1\), not \(7, 1\)"
    ):
        Dataset.open(tmp_path)
    path.write_text(json.dumps(text | {"tables": text["tables"][1:]}))
    with pytest.raises(DataError, match=f"{path}: names no table of kind entries"):
        Dataset.open(tmp_path)


def test_a_market_of_an_event_in_no_part_is_refused(tmp_path):
    entries = write_many(tmp_path, 30).markets
    part = entries.events.part.copy()
    part[4] = -1
    with pytest.raises(ContractError, match=f"market {entries[12].ticker} is of an event in no part"):
        entries.columns.check(part)


def test_opening_many_markets_makes_no_object_for_each(tmp_path):
    write_many(tmp_path, 40_000)
    tracemalloc.start()
    dataset = Dataset.open(tmp_path)
    n_rows = int(dataset.entries("train").numbers("n_rows").sum())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n_rows == sum(m.n_rows for m in dataset.entries("train"))
    assert peak < 40_000 * 100  # Python and numpy; an entry is 2,000 bytes and more
    assert (tmp_path / MANIFEST_NAME).stat().st_size < 3_000


def test_a_dataset_of_version_1_becomes_version_2_with_the_same_content(tmp_path):
    manifest = write_many(tmp_path, 300)
    (tmp_path / MANIFEST_NAME).write_text(v1_text(manifest))
    old = Manifest.read(open_storage(tmp_path))
    assert (old.version, old) == (1, manifest)
    assert np.array_equal(old.markets.parts, manifest.markets.parts)
    assert old.replace(notes=("x",)).version == 2
