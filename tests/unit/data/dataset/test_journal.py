"""The journal of a build: finished jobs are kept, everything that changed is done again."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from made.fake_import import EVENTS, build, files

from kalshi_platform.data.dataset.job import run_and_record
from kalshi_platform.data.dataset.journal import Journal, job_key
from kalshi_platform.data.features.resolution import ResolutionHistory
from kalshi_platform.domain.errors import DataError
from kalshi_platform.storage.storage import open_storage


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
    next((tmp_path / "out" / ".build").glob("*.json")).write_bytes(junk)
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


def test_records_of_other_jobs_are_swept_and_their_shards_named(fake, tmp_path):
    storage = open_storage(tmp_path / "out")
    journal, shards = Journal(storage), {}
    for key, job in zip("abc", fake.jobs(1), strict=False):
        shards[key] = run_and_record(job, key, storage, ResolutionHistory(())).shards
    assert journal.sweep({"b"}) == [*shards["a"], *shards["c"]]
    assert list(journal.finished({"a", "b", "c"})) == ["b"]
    assert all(storage.exists(s.path) for key in "abc" for s in shards[key])  # records alone are deleted


def test_a_job_s_name_is_that_of_its_rows_and_not_of_the_folder_they_lie_in(fake):
    job, history = fake.jobs(1)[0], ResolutionHistory(())
    (path,) = (part.path for part in job.parts)
    key = job_key(job, {path: "1" * 64}, history)
    moved = replace(job, parts=tuple(replace(p, path=f"/elsewhere/{Path(p.path).name}") for p in job.parts))
    assert job_key(moved, {moved.parts[0].path: "1" * 64}, history) == key
    assert job_key(job, {path: "2" * 64}, history) != key
    assert (
        job_key(replace(job, event_of=dict.fromkeys(job.event_of, "OTHER")), {path: "1" * 64}, history) != key
    )
    assert job_key(replace(job, n_rows=7), {path: "1" * 64}, history) == key  # an estimate decides nothing
