"""Sealed folders: what was sealed passes; whatever was changed, cut, lost or added is refused by its name."""

import json
from pathlib import Path

import pytest

from kalshi_platform.domain.errors import ChecksumError, DataError
from kalshi_platform.storage.sealed import MANIFEST, seal, verify


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    """A folder with two files, sealed."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.bin").write_bytes(bytes(range(256)))
    (folder / "b.txt").write_text("text")
    seal(folder)
    return folder


def test_what_was_sealed_passes_and_may_be_sealed_again_with_more(sealed: Path):
    verify(sealed)
    (sealed / "c").touch()
    seal(sealed)
    verify(sealed)
    assert json.loads((sealed / MANIFEST).read_text())["bytes"] == {"a.bin": 256, "b.txt": 4, "c": 0}


@pytest.mark.parametrize("byte", [0, 100, 255])
def test_one_bit_is_seen(sealed: Path, byte: int):
    data = bytearray((sealed / "a.bin").read_bytes())
    data[byte] ^= 4
    (sealed / "a.bin").write_bytes(data)
    with pytest.raises(ChecksumError, match=r"a\.bin has sha256 .*; the checkpoint is damaged, take another"):
        verify(sealed)


def test_a_file_cut_short_is_told_by_its_size_and_the_caller_words_the_remedy(sealed: Path):
    (sealed / "a.bin").write_bytes(b"")
    with pytest.raises(
        ChecksumError, match=r"a\.bin has 0 bytes, its manifest says 256; the bank is damaged, build it"
    ):
        verify(sealed, kind="bank", remedy="build it")


def test_a_file_that_is_missing_or_that_nobody_named_is_refused(sealed: Path):
    (sealed / "stray.npy").touch()
    with pytest.raises(DataError, match=r"stray\.npy is not named by .*manifest\.json"):
        verify(sealed)
    (sealed / "stray.npy").unlink()
    (sealed / "b.txt").unlink()
    with pytest.raises(DataError, match=r"b\.txt is missing from the checkpoint"):
        verify(sealed)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"sha256": {}}', "names no file"),
        ("{}", "is damaged"),
        ("[]", "is damaged"),
        ("", "is damaged"),
        ('{"sha256": null}', "is damaged"),
        ('{"sha256": {"../folder/a.bin": "00"}}', "is damaged: '../folder/a.bin' is no file beside it"),
        ('{"sha256": {"a.bin": 7}}', "is damaged: 'a.bin' is no file"),
    ],
)
def test_a_manifest_that_says_nothing_is_refused(sealed: Path, text: str, says: str):
    (sealed / MANIFEST).write_text(text)
    with pytest.raises(DataError, match=says):
        verify(sealed)
    (sealed / MANIFEST).unlink()
    with pytest.raises(DataError, match="is not a complete checkpoint"):
        verify(sealed)


def test_a_folder_sealed_without_sizes_passes_and_hidden_files_are_nobodys(sealed: Path):
    sums = json.loads((sealed / MANIFEST).read_text())["sha256"]
    (sealed / MANIFEST).write_text(json.dumps({"sha256": sums}))
    (sealed / ".metadata").touch()
    verify(sealed)


def test_sealing_a_copy_of_links_leaves_the_first_folder_as_it_was(sealed: Path, tmp_path: Path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in sealed.iterdir():
        (copy / path.name).hardlink_to(path)
    (copy / "more").touch()
    seal(copy)
    verify(copy)
    verify(sealed)
