"""Steps of build and growth: one writer at a time, and only stale files go."""

from functools import partial

import pytest
from made.fake_import import build
from made.stored import make_dataset

from kalshi_platform.data.dataset import assemble
from kalshi_platform.data.dataset.assemble import delete_stale, some, writing_alone
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.storage.storage import open_storage


def test_a_second_writer_waits_and_is_refused_by_the_process_that_writes(fake, tmp_path, monkeypatch):
    storage = open_storage(tmp_path / "out")
    monkeypatch.setattr(assemble, "writing", partial(assemble.writing, patience_s=0.0))
    with writing_alone(storage), pytest.raises(ContractError, match="is being written by process"):
        build(tmp_path / "out")
    build(tmp_path / "out")  # the lock ended with its block


def test_only_what_nothing_names_is_deleted(tmp_path, rng):
    _, manifest = make_dataset(tmp_path, rng)
    storage = open_storage(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / ".x.12.partial").write_text("half")
    markets, events, features = manifest.shards
    delete_stale(storage, [markets, events], keep=[markets])
    assert {f.path for f in storage.list_files()} == {
        "manifest.json", "notes.txt", markets.path, features.path,
    }  # fmt: skip


def test_counters_of_nothing_are_left_out():
    assert some(assemble.Counter({"b": 2, "a": 0, "c": 1})) == {"b": 2, "c": 1}
