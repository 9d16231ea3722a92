"""Fuzz targets: a recorder's files with one of them damaged, read by status, a restart and the importer.

Sealed    a segment that its seal does not fit is refused by its name; nothing of the recording is changed.
Restart   an unfinished segment loses its torn end; whole commits stay as they were, and a note stands for
          damaged bytes between them.
"""

import json
import shutil

from made.fuzzing import FindingError, fuzz, refusal
from made.market_files import load
from made.mutations import odd_bytes, odd_text
from made.recorder_runs import DAY, record

from kalshi_platform.trading.recorder.facts.unsettled import unsettled_markets
from kalshi_platform.trading.recorder.segments.blocks import Damage, iter_lines, iter_pieces
from kalshi_platform.trading.recorder.segments.restart import take_over
from kalshi_platform.trading.recorder.status import read_state


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def made(folder):
    """Two finished runs, facts, and nothing unfinished."""
    folder.mkdir()
    record(folder, 1, DAY)
    record(folder, 2, DAY[:1] + DAY[3:])
    market = {"ticker": "KXDEMO-26DEC01-T50", "event_ticker": "KXDEMO-26DEC01", "status": "active"}
    (folder / "facts").mkdir(exist_ok=True)
    (folder / "facts" / "run1.jsonl").write_text(json.dumps({"known_ns": 1, "market": market}) + "\n")


def test_recordings(place):
    sound, folder = place / "sound", place / "rec"
    made(sound)
    contents = files(sound)
    whole = read_state(sound)
    load(sound / "frames")  # compiles the kernels

    def one(rng):
        shutil.copytree(sound, folder)
        try:
            name = rng.choice(sorted(contents))
            before = contents[name]
            is_text = name.endswith((".json", ".jsonl")) and rng.randrange(4)
            data = odd_text(rng, json.loads(before)) if is_text else odd_bytes(rng, before)
            (folder / name).write_bytes(data)
            return refusal(
                lambda: look(folder, whole, name, data == before), name.split("/")[-1].removesuffix(".json")
            )
        finally:
            shutil.rmtree(folder)

    counts = fuzz("recordings", 200, one)
    assert counts["refused"]


def look(folder, whole, name, is_equal):
    """Read all that status and the importer read; a damaged segment must not be read as whole."""
    seen = files(folder)
    state = read_state(folder)
    if name.startswith("frames/") and not is_equal:
        raise FindingError("a damaged segment was read")
    if state.frames != whole.frames and name.startswith("frames/"):
        raise FindingError(f"{state.frames} frames of {whole.frames} were read")
    unsettled_markets(folder)
    load(folder / "frames")
    after = files(folder)
    after.pop(".recorder/unsettled.json", None)  # a start keeps what it read of the facts
    if after != seen:
        raise FindingError("reading changed the recording")


def test_unfinished_segments(place):
    sound, folder = place / "sound", place / "rec"
    made(sound)
    name = sorted(p.name for p in (sound / "frames").iterdir())[-1]
    before = (sound / "frames" / name).read_bytes()
    blocks = commits(sound / "frames" / name)

    def one(rng):
        shutil.copytree(sound, folder)
        try:
            (folder / ".seals" / f"{name}.json").unlink()
            (folder / "frames" / name).unlink()
            data = odd_bytes(rng, before)
            path = folder / "frames" / f".{name}.open"
            path.write_bytes(data)
            return refusal(lambda: restart(folder, name, blocks), name)
        finally:
            shutil.rmtree(folder)

    fuzz("unfinished-segments", 200, one)


def commits(path):
    """Texts of the whole commits of a segment."""
    return [piece[1] for piece in iter_pieces(path) if not isinstance(piece, Damage)]


def restart(folder, name, blocks):
    """Take the folder over and compare what stayed with the commits that were made."""
    take_over(folder)
    path = folder / "frames" / name
    kept = commits(path) if path.exists() else []
    if any(text not in blocks and b'"note":"damaged"' not in text for text in kept):
        raise FindingError("a commit that nobody made was kept")
    if path.exists() and not list(iter_lines(path)):
        raise FindingError("an empty segment was sealed")
    read_state(folder)
    load(folder / "frames")
