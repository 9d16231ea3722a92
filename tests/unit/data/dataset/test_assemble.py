"""Steps of build and growth: one writer at a time, and only stale files go."""

import os
from functools import partial

import pyarrow as pa
import pytest
from made.fake_import import build
from made.stored import make_dataset

from kalshi_platform.data.dataset import assemble
from kalshi_platform.data.dataset.assemble import delete_stale, some, writing_alone
from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.data.dataset.grow import add_to_dataset
from kalshi_platform.data.dataset.inspect import find_problems
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.data.dataset.tables import encode_table
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.storage.storage import open_storage


def test_a_second_writer_waits_and_is_refused_by_the_process_that_writes(fake, tmp_path, monkeypatch):
    storage = open_storage(tmp_path / "out")
    monkeypatch.setattr(assemble, "writing", partial(assemble.writing, patience_s=0.0))
    with writing_alone(storage), pytest.raises(ContractError, match="is being written by process"):
        build(tmp_path / "out")
    build(tmp_path / "out")  # the lock ended with its block


def test_overwriting_and_adding_are_refused_too_while_another_process_writes(fake, tmp_path, monkeypatch):
    build(tmp_path / "out")
    before = (tmp_path / "out" / "manifest.json").read_bytes()
    monkeypatch.setattr(assemble, "writing", partial(assemble.writing, patience_s=0.0))
    with writing_alone(open_storage(tmp_path / "out")):
        for write in (
            lambda: build_dataset([], tmp_path / "out", BuildConfig(workers=0, overwrite=True)),
            lambda: build_dataset([], f"file://{tmp_path}/out", BuildConfig(workers=0)),
            lambda: add_to_dataset([], tmp_path / "out", workers=0),
        ):
            with pytest.raises(ContractError, match=f"out is being written by process {os.getpid()}:"):
                write()
    assert (tmp_path / "out" / "manifest.json").read_bytes() == before


def test_no_manifest_is_put_in_force_for_shards_that_another_program_deleted(fake, tmp_path, monkeypatch):
    write = assemble.write_manifest

    def after_a_deletion(storage, manifest):
        storage.delete(next(s.path for s in manifest.shards if s.kind == "features"))
        write(storage, manifest)

    monkeypatch.setattr("kalshi_platform.data.dataset.build.write_manifest", after_a_deletion)
    with pytest.raises(DataError, match=r"1 of \d+ shards were written to .* and are gone, first fe"):
        build(tmp_path / "out")
    assert not (tmp_path / "out" / "manifest.json").exists()
    monkeypatch.setattr("kalshi_platform.data.dataset.build.write_manifest", write)
    build(tmp_path / "out")  # the job whose shard is gone is done again
    assert find_problems(Dataset.open(tmp_path / "out")) == []


def test_only_what_nothing_names_is_deleted(tmp_path, rng):
    _, manifest = make_dataset(tmp_path, rng)
    storage = open_storage(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / ".x.12.partial").write_text("half")
    markets, events, features = manifest.shards
    table = encode_table("order", {"market": pa.array([0])})
    storage.write_bytes_atomic(table.shard.path, table.data)  # of a build that was killed
    delete_stale(storage, [markets.path, events.path], keep=[*manifest.paths() - {events.path}])
    assert {f.path for f in storage.list_files()} == {
        "manifest.json", "notes.txt", markets.path, features.path, *(t.shard.path for t in manifest.tables),
    }  # fmt: skip


def test_counters_of_nothing_are_left_out():
    assert some(assemble.Counter({"b": 2, "a": 0, "c": 1})) == {"b": 2, "c": 1}
