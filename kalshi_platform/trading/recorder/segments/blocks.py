"""Commits of a segment: independent zstd frames, each after a header that says how long and how right it is.

File       header, packed text, header, packed text, ...: one pair a commit. The header is a *skippable* zstd
           frame, so that ``zstd -dc FILE`` and every other reader see the text and nothing else.
Header     magic 4 bytes, length 4, then tag ``KXR1``, bytes packed, lines, bytes of text, crc32 of these
           three and the packed bytes; whole numbers, little-endian
Invariant  a file cut anywhere holds every commit that ends before the cut, and a reader finds where that is.
Damage     bytes between two whole commits that are none themselves: commits whose bytes changed on the disk.
           The commits behind them are found again by their headers. Bytes behind the last whole commit are
           *torn*: nothing tells a commit that was never finished from a last one that was damaged.
Not here   the lines of a commit (``lines.py``), when to commit (``journal.py``).
"""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import pyarrow as pa

from kalshi_platform.domain.errors import DataError

#: First of the sixteen magic numbers of skippable zstd frames; importers know them as zstd.
SKIPPABLE: Final = 0x184D2A50
_TAG: Final = b"KXR1"
_HEADER: Final = struct.Struct("<II4sIIQI")  # magic, length of what follows, tag, packed, lines, text, crc
HEADER_BYTES: Final = _HEADER.size
_SIZES: Final = struct.Struct("<IIQ")
_REST_BYTES: Final = HEADER_BYTES - 8
#: Beginning of every header.
_MARK: Final = struct.pack("<II4s", SKIPPABLE, _REST_BYTES, _TAG)
_CODEC: Final = pa.Codec("zstd", 3)


class Block(NamedTuple):
    """One commit as it lies in the file."""

    begin: int  # offset of its header, bytes
    end: int  # offset of the first byte after it
    n_lines: int
    n_text: int  # bytes of its text


class Damage(NamedTuple):
    """Bytes between two whole commits that are no whole commit."""

    begin: int
    end: int  # offset of the next whole commit
    n_lines: int | None  # lines of the commit that lay there; None where its header is damaged too

    @property
    def n_bytes(self) -> int:
        """Bytes damaged."""
        return self.end - self.begin


class Extent(NamedTuple):
    """Content of a segment's file."""

    n_bytes: int  # up to the end of the last whole commit; what lies behind it is torn
    n_torn: int
    n_lines: int
    n_blocks: int
    damages: tuple[Damage, ...]


def pack_block(text: bytes, n_lines: int) -> bytes:
    """Bytes of one commit of ``n_lines`` lines; ``text`` ends with a newline."""
    packed = bytes(_CODEC.compress(text, asbytes=True))
    sizes = (len(packed), n_lines, len(text))
    return _HEADER.pack(SKIPPABLE, _REST_BYTES, _TAG, *sizes, _crc(packed, *sizes)) + packed


def iter_pieces(path: Path) -> Iterator[tuple[Block, bytes] | Damage]:
    """(place, text) of every whole commit, in order, and a Damage where one follows damaged bytes.

    Ends without an error where the file is torn.
    """
    with path.open("rb") as file:
        while True:
            begin = file.tell()
            if (found := _next_block(file)) is not None:
                yield found
                continue
            end = _next_header(file, begin + 1)
            if end is None:
                return
            file.seek(begin)
            if (found := _next_block(file)) is not None:  # a running recorder has just finished it
                yield found
                continue
            yield Damage(begin, end, _lines_told(file, begin, end))
            file.seek(end)


def extent_of(path: Path) -> Extent:
    """Extent of the whole commits of a segment; every one of them is unpacked and checked."""
    end = n_lines = n_blocks = 0
    damages = []
    for piece in iter_pieces(path):
        if isinstance(piece, Damage):
            damages.append(piece)
        else:
            block, _ = piece
            end, n_lines, n_blocks = block.end, n_lines + block.n_lines, n_blocks + 1
    return Extent(end, path.stat().st_size - end, n_lines, n_blocks, tuple(damages))


def iter_lines(path: Path) -> Iterator[bytes]:
    """Lines of every whole commit, without their newlines; DataError where anything is torn or damaged."""
    end = 0
    for piece in iter_pieces(path):
        if isinstance(piece, Damage):
            break
        block, text = piece
        end = block.end
        yield from text.removesuffix(b"\n").split(b"\n")
    if end != path.stat().st_size:
        raise DataError(
            f"{path}: the bytes from offset {end} on are no whole commit ({path.stat().st_size - end} bytes "
            "follow); copy the segment again, or start the recorder on its folder, which mends what it left"
        )


def _next_block(file: BinaryIO) -> tuple[Block, bytes] | None:
    """Block at the file's position and its text; None where no whole one begins there."""
    begin = file.tell()
    header = file.read(HEADER_BYTES)
    if len(header) < HEADER_BYTES:
        return None
    magic, rest, tag, n_packed, n_lines, n_text, crc = _HEADER.unpack(header)
    if (magic, rest, tag) != (SKIPPABLE, _REST_BYTES, _TAG):
        return None
    packed = file.read(n_packed)
    if len(packed) < n_packed or _crc(packed, n_packed, n_lines, n_text) != crc:
        return None
    text = bytes(_CODEC.decompress(packed, n_text, asbytes=True))
    return Block(begin, begin + HEADER_BYTES + n_packed, n_lines, n_text), text


def _next_header(file: BinaryIO, since: int) -> int | None:
    """Offset of the next whole commit at or behind ``since``; None where there is none."""
    file.seek(since)
    rest = file.read()  # a segment is bounded (journal.segment_bytes)
    at = rest.find(_MARK)
    while at >= 0:
        file.seek(since + at)
        if _next_block(file) is not None:
            return since + at
        at = rest.find(_MARK, at + 1)
    return None


def _lines_told(file: BinaryIO, begin: int, end: int) -> int | None:
    """Lines that the header of damaged bytes tells, where it fits them exactly; else None."""
    file.seek(begin)
    header = file.read(HEADER_BYTES)
    if len(header) < HEADER_BYTES:
        return None
    magic, rest, tag, n_packed, n_lines, _, _ = _HEADER.unpack(header)
    fits = (magic, rest, tag) == (SKIPPABLE, _REST_BYTES, _TAG) and begin + HEADER_BYTES + n_packed == end
    return int(n_lines) if fits else None


def _crc(packed: bytes, n_packed: int, n_lines: int, n_text: int) -> int:
    """Checksum of one commit and its sizes."""
    return zlib.crc32(packed, zlib.crc32(_SIZES.pack(n_packed, n_lines, n_text)))
