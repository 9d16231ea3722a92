"""Seals: one small file a finished segment says its size, sha256 and span, and is written after it.

Place      ``.seals/NAME.json`` beside ``frames/NAME``; hidden, so that ``dataset build`` passes it over
Invariant  a segment with a seal is never altered; a segment without one is not finished, or was just renamed
"""

from pathlib import Path
from typing import Final

from pydantic import Field, ValidationError

from kalshi_platform.domain.bounded import bounded_message
from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ChecksumError, DataError
from kalshi_platform.storage.whole_file import file_digest, write_whole

FRAMES: Final = "frames"
SEALS: Final = ".seals"
SUFFIX: Final = ".jsonl.zst"


class Seal(Config):
    """Content of a finished segment."""

    segment: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$", description="name of the file below frames/"
    )
    run: str
    number: int = Field(ge=1, description="of the segment within its run, from 1")
    n_bytes: int = Field(ge=0)
    sha256: str
    n_frames: int = Field(ge=0)
    n_notes: int = Field(ge=0)
    first_ns: int = Field(description="recv_ns of the first line")
    last_ns: int = Field(description="recv_ns of the last line")
    is_stop: bool = Field(False, description="its last line is the note of a clean stop")
    torn_bytes: int = Field(0, ge=0, description="bytes of an unfinished commit that a restart cut off")
    damaged_bytes: int = Field(0, ge=0, description="bytes that changed on the disk, replaced by notes")


def seal_path(out: Path, segment: str) -> Path:
    """Place of the seal of a segment."""
    return out / SEALS / f"{segment}.json"


def write_seal(out: Path, seal: Seal) -> None:
    """Write a seal durably; the segment must lie under its name and be synced already."""
    path = seal_path(out, seal.segment)
    path.parent.mkdir(exist_ok=True)
    write_whole(path, seal.model_dump_json() + "\n")


def read_seals(out: Path) -> list[Seal]:
    """Seals of a recording in order of run and number; DataError for one that cannot be read."""
    seals = []
    for path in sorted((out / SEALS).glob("*.json")):
        try:
            seals.append(Seal.model_validate_json(path.read_bytes()))
        except (OSError, ValidationError) as err:
            raise DataError(f"{path}: is no seal of a segment ({_why(err)}); copy it again") from None
    return sorted(seals, key=lambda seal: (seal.run, seal.number))


def _why(error: OSError | ValidationError) -> str:
    """Words of an error; of a wrong field its name and why."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(map(str, first["loc"]))
    return bounded_message(f"{field}: {first['msg']}" if field else first["msg"], 200)


def verify(out: Path, seal: Seal) -> None:
    """Raise ChecksumError where the bytes of a segment are not those that its seal tells."""
    path = out / FRAMES / seal.segment
    try:
        found, size = file_digest(path), path.stat().st_size
    except OSError as err:
        raise DataError(f"{path}: cannot be read ({err.strerror}); copy the segment again") from None
    if (found, size) != (seal.sha256, seal.n_bytes):
        raise ChecksumError(
            f"{path}: sha256 {found[:12]}, {size} bytes; its seal says {seal.sha256[:12]}, {seal.n_bytes}; "
            "copy the segment again"
        )
