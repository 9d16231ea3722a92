"""Sealed folders: a manifest, written last, names size and sha256 of every file beside it.

Layout     manifest.json: {"sha256": {name: hex}, "bytes": {name: size}}; folders sealed by older versions of
           this program have no "bytes". Hidden files belong to nobody and are not looked at.
Invariant  :func:`verify` passes where the folder holds what was sealed, every file of it and nothing else.
Not        making the folder appear whole: ``whole_file.whole_folder``, around the seal.
"""

import json
from pathlib import Path
from typing import Any, Final

from kalshi_platform.domain.errors import ChecksumError, DataError
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.storage.whole_file import file_digest, write_whole

MANIFEST: Final = "manifest.json"


def seal(folder: Path) -> None:
    """Write the manifest of the files in ``folder``; a manifest that lies there is replaced, not changed."""
    files = _files(folder)
    content = {
        "sha256": {path.name: file_digest(path) for path in files},
        "bytes": {path.name: path.stat().st_size for path in files},
    }
    write_whole(folder / MANIFEST, json_text(content, indent=1) + "\n")


def verify(folder: Path, *, kind: str = "checkpoint", remedy: str = "take another one") -> None:
    """Compare every file in ``folder`` with its manifest; a DataError names the first that differs.

    A file that the manifest does not name is refused too, and so is a manifest that names none. ``kind``
    (what the folder is) and ``remedy`` are words of the error.
    """
    sums, sizes = _manifest(folder, kind, remedy)
    for name, expected in sums.items():
        path = folder / name
        if not path.is_file():
            raise DataError(f"{path} is missing from the {kind}; {remedy}")
        n_bytes = path.stat().st_size
        if n_bytes != sizes.get(name, n_bytes):
            raise ChecksumError(
                f"{path} has {n_bytes} bytes, its manifest says {sizes[name]}; "
                f"the {kind} is damaged, {remedy}"
            )
        if (found := file_digest(path)) != expected:
            raise ChecksumError(
                f"{path} has sha256 {found[:12]}..., its manifest says {expected[:12]}...; "
                f"the {kind} is damaged, {remedy}"
            )
    if unnamed := [path for path in _files(folder) if path.name not in sums]:
        raise DataError(
            f"{unnamed[0]} is not named by {folder / MANIFEST}: nobody knows its content; move the file away "
            f"if it is none of the {kind}'s, else {remedy}"
        )


def _manifest(folder: Path, kind: str, remedy: str) -> tuple[dict[str, str], dict[str, int]]:
    path = folder / MANIFEST
    try:
        content: Any = json.loads(path.read_text())
        sums, sizes = dict(content["sha256"]), dict(content.get("bytes", {}))
    except FileNotFoundError:
        raise DataError(f"{path} does not exist: {folder} is not a complete {kind}; {remedy}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DataError(f"{path} is damaged; {remedy}") from None
    if not sums:
        raise DataError(f"{path} names no file: {folder} is not a complete {kind}; {remedy}")
    if strange := [name for name in sums if not isinstance(sums[name], str) or Path(name).name != name]:
        raise DataError(f"{path} is damaged: {strange[0]!r} is no file beside it; {remedy}")
    return sums, sizes


def _files(folder: Path) -> list[Path]:
    found = [path for path in folder.iterdir() if path.name[0] != "." and path.name != MANIFEST]
    return sorted(path for path in found if path.is_file())
