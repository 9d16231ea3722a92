"""The journal of a build: finished jobs are kept, everything that changed is done again."""

import os

import pytest
from made.fake_import import EVENTS, build, files

from kalshi_platform.domain.errors import DataError


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
