"""Mend of a segment in which bytes changed on the disk: what follows them stays, what they held is one row.

Kept       the damaged bytes, in ``frames/.NAME.damaged-OFFSET``, for somebody who can read more of them.
Written    a note ``damaged`` where they lay: bytes, lines (where their header still tells), the times of the
           lines around them, the name of the file that keeps them.
Order      the kept bytes are synced before the segment is replaced: a kill in between loses nothing, and the
           next start does the same again.
"""

import os
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from kalshi_platform.storage.whole_file import write_whole
from kalshi_platform.trading.recorder.segments.blocks import Damage, iter_pieces, pack_block
from kalshi_platform.trading.recorder.segments.lines import DAMAGED, note_line


def mend(path: Path, name: str) -> int:
    """Replace the damaged bytes of the unsealed segment ``path`` by notes; returns how many there were.

    ``name``: of the segment. Bytes behind the last whole commit are cut off. OSError as the system gives it.
    """
    data = path.read_bytes()  # a segment is bounded (journal.segment_bytes)
    pieces: list[bytes] = []
    damaged = 0
    open_damage: Damage | None = None
    last: dict[str, Any] | None = None
    for piece in iter_pieces(path):
        if isinstance(piece, Damage):
            open_damage = piece
            continue
        block, text = piece
        lines = text.removesuffix(b"\n").split(b"\n")
        if open_damage is not None:
            kept = path.with_name(f".{name}.damaged-{open_damage.begin}")
            write_whole(kept, data[open_damage.begin : open_damage.end])
            pieces.append(pack_block(_note(open_damage, last, from_json(lines[0]), kept.name), 1))
            damaged += open_damage.n_bytes
            open_damage = None
        pieces.append(data[block.begin : block.end])
        last = from_json(lines[-1])
    if damaged:
        write_whole(path, b"".join(pieces))
    return damaged


def _note(damage: Damage, before: dict[str, Any] | None, after: dict[str, Any], kept: str) -> bytes:
    """Line of the note between the lines ``before`` (None: the segment begins with damage) and ``after``."""
    detail = {
        "bytes": damage.n_bytes,
        "lines": damage.n_lines,
        "since_ns": None if before is None else before["recv_ns"],
        "until_ns": after["recv_ns"],
        "kept": os.fspath(kept),
    }
    return note_line(after["recv_ns"], after["mono_ns"], 0, DAMAGED, detail)
