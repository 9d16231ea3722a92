"""Only files whose content proves it are deleted by a manifest's word."""

import hashlib
import os

from made.stored import make_dataset

from kalshi_platform.data.dataset.entry import Shard
from kalshi_platform.data.dataset.proof import proven
from kalshi_platform.storage.storage import open_storage


def noted(path, data, **changes):
    """Shard that a manifest notes for ``path``."""
    fields = {"path": path, "kind": "events", "event": "E", "n_bytes": len(data)}
    return Shard(**{**fields, "sha256": hashlib.sha256(data).hexdigest(), **changes})


def test_the_files_of_a_dataset_prove_to_be_its(tmp_path, rng):
    _, manifest = make_dataset(tmp_path, rng)
    found = proven(open_storage(tmp_path), manifest.shards)
    assert found == {shard.path for shard in manifest.shards}


def test_own_notes_a_changed_file_a_manifest_and_a_file_behind_a_link_prove_nothing(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_bytes(b"precious")
    place = tmp_path / "dataset"
    place.mkdir()
    (place / "notes.txt").write_bytes(b"mine!!!!")
    (place / "manifest.json").write_bytes(b"{}")
    (place / "own").write_bytes(b"own")
    os.symlink(outside, place / "link")
    shards = [
        noted("notes.txt", b"theirs!!"), noted("manifest.json", b"{}"), noted("link/precious", b"precious"),
        noted("gone", b"x"), noted("own", b"own"),
    ]  # fmt: skip
    assert proven(open_storage(place), shards) == {"own"}
