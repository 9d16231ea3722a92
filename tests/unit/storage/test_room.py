"""Room on the disk is asked for before anything is written."""

import pytest

from kalshi_platform.domain.errors import StorageError
from kalshi_platform.storage import room
from kalshi_platform.storage.room import require_room


def test_too_little_room_is_refused_with_both_figures(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "free_disk_bytes", lambda place: 2 * 10**9)
    require_room(tmp_path, 10**9, "a bank")
    with pytest.raises(StorageError, match=r"a bank needs about 3\.30 GB .* 2\.00 GB are free"):
        require_room(tmp_path, 3 * 10**9, "a bank")


def test_a_bucket_has_room(monkeypatch):
    monkeypatch.setattr(room, "free_disk_bytes", lambda place: 0)
    require_room("s3://bucket/set", 10**15, "a dataset")
