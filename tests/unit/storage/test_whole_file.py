"""A file is replaced whole or not at all."""

import os

import pytest

from kalshi_platform.storage.whole_file import write_whole


def test_text_and_bytes_arrive_and_replace_what_was_there(tmp_path):
    write_whole(tmp_path / "a.json", "é")
    write_whole(tmp_path / "a.json", "ü\n")
    assert (tmp_path / "a.json").read_bytes() == "ü\n".encode()
    write_whole(tmp_path / "b.bin", b"\x00\x01")
    assert (tmp_path / "b.bin").read_bytes() == b"\x00\x01"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b.bin"]


def test_a_write_that_breaks_off_leaves_the_old_file(tmp_path, monkeypatch):
    write_whole(tmp_path / "a", "old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(tmp_path / "a", "new")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "old")]
