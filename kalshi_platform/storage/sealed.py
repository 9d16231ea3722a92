"""Sealed folders: a manifest, written last, names size and sha256 of every file beside it.

Layout     manifest.json: {"sha256": {name: hex}, "bytes": {name: size}}; folders sealed by older versions of
           this program have no "bytes". Hidden files belong to nobody and are not looked at.
Invariant  :func:`verify` passes where the folder holds what was sealed, every file of it and nothing else.
Not        making the folder appear whole: ``whole_file.whole_folder``, around the seal.
"""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from kalshi_platform.domain.bounded import shown_value
from kalshi_platform.domain.errors import ChecksumError, DataError
from kalshi_platform.domain.json_text import json_text, json_value
from kalshi_platform.storage.whole_file import file_digest, write_whole

MANIFEST: Final = "manifest.json"
#: Bytes of a file's name on the systems that this runs on.
_LONGEST_NAME: Final = 255
#: Files that are hashed at once; hashing leaves the interpreter free, so cores add up.
_MOST_THREADS: Final = 4


def seal(folder: Path, known: Mapping[str, str] | None = None) -> None:
    """Write the manifest of the files in ``folder``; a manifest that lies there is replaced, not changed.

    ``known``: sha256 of files, by name, from whoever wrote them; the other files are read.
    """
    files = _files(folder)
    known = known or {}
    content = {
        "sha256": {path.name: known.get(path.name) or file_digest(path) for path in files},
        "bytes": {path.name: path.stat().st_size for path in files},
    }
    write_whole(folder / MANIFEST, json_text(content, indent=1) + "\n")


def verify(folder: Path, *, kind: str = "checkpoint", remedy: str = "take another one") -> None:
    """Compare every file in ``folder`` with its manifest; a DataError names the first that differs.

    A file that the manifest does not name is refused too, and so is a manifest that names none. ``kind``
    (what the folder is) and ``remedy`` are words of the error.
    """
    sums, sizes = _manifest(folder, kind, remedy)
    _check_sizes(folder, sums, sizes, kind, remedy)
    threads = min(_MOST_THREADS, os.cpu_count() or 1, len(sums))
    with ThreadPoolExecutor(threads, "verify") as pool:
        digests = pool.map(file_digest, [folder / name for name in sums])
        for (name, expected), found in zip(sums.items(), digests, strict=True):
            if found != expected:
                raise ChecksumError(
                    f"{folder / name} has sha256 {found[:12]}..., its manifest says {expected[:12]}...; "
                    f"the {kind} is damaged, {remedy}"
                )
    if unnamed := [path for path in _files(folder) if path.name not in sums]:
        raise DataError(
            f"{unnamed[0]} is not named by {folder / MANIFEST}: nobody knows its content; move the file away "
            f"if it is none of the {kind}'s, else {remedy}"
        )


def _check_sizes(folder: Path, sums: dict[str, str], sizes: dict[str, int], kind: str, remedy: str) -> None:
    """Refuse a folder in which a named file is missing or of another size: that costs no reading."""
    for name in sums:
        path = folder / name
        if not path.is_file():
            raise DataError(f"{path} is missing from the {kind}; {remedy}")
        n_bytes = path.stat().st_size
        if n_bytes != sizes.get(name, n_bytes):
            raise ChecksumError(
                f"{path} has {n_bytes} bytes, its manifest says {sizes[name]}; "
                f"the {kind} is damaged, {remedy}"
            )


def _manifest(folder: Path, kind: str, remedy: str) -> tuple[dict[str, str], dict[str, int]]:
    path = folder / MANIFEST
    try:
        content: Any = json_value(path.read_text())
        sums, sizes = dict(content["sha256"]), dict(content.get("bytes", {}))
    except FileNotFoundError:
        raise DataError(f"{path} does not exist: {folder} is not a complete {kind}; {remedy}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DataError(f"{path} is damaged; {remedy}") from None
    if not all(type(size) is int and 0 <= size < 2**63 for size in sizes.values()):
        raise DataError(f"{path} is damaged: a size in it is none; {remedy}")
    if not sums:
        raise DataError(f"{path} names no file: {folder} is not a complete {kind}; {remedy}")
    if strange := [name for name in sums if not isinstance(sums[name], str) or not _is_name(name)]:
        raise DataError(f"{path} is damaged: {shown_value(strange[0])} is no file beside it; {remedy}")
    return sums, sizes


def _is_name(name: str) -> bool:
    """True where ``name`` can be that of a file beside the manifest."""
    return Path(name).name == name and "\0" not in name and len(os.fsencode(ascii(name))) <= _LONGEST_NAME


def _files(folder: Path) -> list[Path]:
    found = [path for path in folder.iterdir() if path.name[0] != "." and path.name != MANIFEST]
    return sorted(path for path in found if path.is_file())
