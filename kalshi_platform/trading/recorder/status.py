"""State of a recording from its files alone: certified coverage, and every segment checked against its seal.

Certified  means recomputed here from the frames and notes on disk; nothing the recorder said is believed.
Running    a recorder that writes the folder now keeps its own figures in ``.recorder/status.json``; they are
           shown beside, and its unfinished segment is read as far as it is acknowledged.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from pydantic_core import from_json

from kalshi_platform.data.dataset.certified import CertifiedRun
from kalshi_platform.domain.errors import DataError
from kalshi_platform.trading.recorder.follow.coverage import MarketCoverage, market_row, total_share
from kalshi_platform.trading.recorder.follow.follower import Follower, HoleRow
from kalshi_platform.trading.recorder.segments.blocks import Damage, iter_pieces
from kalshi_platform.trading.recorder.segments.seals import FRAMES, SEALS, SUFFIX, Seal, read_seals, verify


class RecordingState(NamedTuple):
    """Content of a recording's files."""

    segments: int
    absent: int  # sealed segments that are not on this disk (uploaded and deleted)
    open_segments: int
    frames: int
    notes: int
    n_bytes: int
    torn_bytes: int  # cut off by restarts
    damaged_bytes: int  # changed on the disk inside segments: acknowledged lines were lost, a note each
    first_ns: int | None
    last_ns: int | None
    holes: int
    hole_rows: list[HoleRow]  # the last 10,000
    kinds: dict[str, int]  # notes by kind
    markets: list[MarketCoverage]

    def as_json(self) -> dict[str, Any]:
        """Plain values, times in ns; ``coverage`` 0 to 1, None where no market was wanted."""
        own = {name: value for name, value in self._asdict().items() if name not in ("markets", "hole_rows")}
        rows = [market_row(market) for market in self.markets]
        return {
            **own,
            "hole_rows": [row.as_json() for row in self.hole_rows],
            "coverage": round(total_share(self.markets), 6) if self.markets else None,
            "markets": rows,
        }


def read_state(out: Path) -> RecordingState:
    """Read every segment of a recording.

    DataError where there is none or one cannot be read, ChecksumError where one is not what its seal says.
    """
    if not (out / FRAMES).is_dir():
        raise DataError(
            f"{out}: holds no recording (no folder {FRAMES}/); give the --out of kalshi-platform record"
        )
    seals = read_seals(out)
    here = [seal for seal in seals if (out / FRAMES / seal.segment).exists()]
    open_files = sorted((out / FRAMES).glob(f".*{SUFFIX}.open"))
    follower, damaged = Follower(), sum(seal.damaged_bytes for seal in seals)
    for place, seal in _segments(out, seals, open_files):
        if place is None:
            follower.miss()
            continue
        if seal is not None:
            verify(out, seal)
        damaged += _follow(follower, place)
    follower.drain()
    return RecordingState(
        segments=len(here),
        absent=len(seals) - len(here),
        open_segments=len(open_files),
        frames=follower.frames,
        notes=sum(follower.kinds.values()),
        n_bytes=sum(seal.n_bytes for seal in here)
        + sum(_place_of(path).stat().st_size for path in open_files),
        torn_bytes=sum(seal.torn_bytes for seal in seals),
        damaged_bytes=damaged,
        first_ns=here[0].first_ns if here else None,
        last_ns=follower.last_ns or None,
        holes=follower.holes,
        hole_rows=list(follower.hole_rows),
        kinds=dict(sorted(follower.kinds.items())),
        markets=follower.coverage.markets(follower.last_ns),
    )


def certified_runs(inputs: Iterable[Path]) -> list[CertifiedRun]:
    """Coverage of every run of the recordings among ``inputs``, from sealed segments alone.

    Other files and folders are passed over: nobody knows what they missed. Errors as :func:`read_state`.
    """
    folders = [path for path in inputs if (path / SEALS).is_dir() and (path / FRAMES).is_dir()]
    return [run for folder in folders for run in _certified(folder)]


def _certified(out: Path) -> Iterator[CertifiedRun]:
    """Coverage of each run of one recording, in order of time."""
    for run, own in groupby(read_seals(out), key=lambda seal: seal.run):
        seals = list(own)
        follower = Follower()
        for place, seal in _segments(out, seals, []):
            if place is None or seal is None:
                follower.miss()
                continue
            verify(out, seal)
            _follow(follower, place)
        follower.drain()
        markets = follower.coverage.markets(follower.last_ns)
        wanted = [market for market in markets if market.wanted_ns]
        least = min(wanted, key=lambda m: (m.share, m.ticker)) if wanted else None
        yield CertifiedRun(
            run=run,
            first_ns=seals[0].first_ns,
            last_ns=seals[-1].last_ns,
            markets=len(markets),
            wanted_ns=sum(m.wanted_ns for m in markets),
            proven_ns=sum(m.proven_ns for m in markets),
            holes=follower.holes,
            least_market=least.ticker if least else "",
            least_wanted_ns=least.wanted_ns if least else 0,
            least_proven_ns=least.proven_ns if least else 0,
        )


def _follow(follower: Follower, place: Path) -> int:
    """Feed the lines of one segment; returns its damaged bytes."""
    damaged = 0
    for piece in iter_pieces(place):
        if isinstance(piece, Damage):  # of a run that has not ended: its next start writes the note
            damaged += piece.n_bytes
            follower.miss()
            continue
        for line in piece[1].removesuffix(b"\n").split(b"\n"):
            follower.line(from_json(line))
    return damaged


def running_figures(out: Path) -> dict[str, Any] | None:
    """Figures that the recorder last wrote of itself; None where there are none."""
    try:
        found: dict[str, Any] = from_json((out / ".recorder" / "status.json").read_bytes())
    except (OSError, ValueError):
        return None
    return found


def _segments(
    out: Path, seals: list[Seal], open_files: list[Path]
) -> Iterator[tuple[Path | None, Seal | None]]:
    """(file, its seal) of all segments in order of time; file None where segments are missing between two.

    Missing is one that has a seal and no file, and one whose number is left out in its run.
    """
    expected: tuple[str, int] | None = None  # of the next segment of the same run
    is_begun = False
    for seal in seals:
        path = out / FRAMES / seal.segment
        follows = (seal.run, seal.number) == expected or seal.number == 1
        if is_begun and not (follows and path.exists()):
            yield None, None
        expected = (seal.run, seal.number + 1)
        if path.exists():
            is_begun = True
            yield path, seal
    for path in open_files:
        yield _place_of(path), None


def _place_of(unfinished: Path) -> Path:
    """Place of a segment that was unfinished when it was listed: a running recorder may have finished it."""
    return unfinished if unfinished.exists() else unfinished.with_name(unfinished.name[1 : -len(".open")])
