"""Certified coverage of the recordings behind a dataset: for each run of a recorder, what was proven of it.

Certified  means recomputed from sealed segments (``trading/recorder/status.py``), not told by the recorder.
Growth     a run that is certified again, because it went on meanwhile, replaces what was kept of it.
Not here   files of other recorders: nobody knows what they missed.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from pydantic import Field

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.units import moment_words

#: Runs that are told one by one.
_SHOWN: Final = 5


class CertifiedRun(Config):
    """Coverage of one run of a recorder, from its start to its stop."""

    run: str = Field(description="name of the run, which begins with its time")
    first_ns: int
    last_ns: int
    markets: int = Field(ge=0, description="markets that the run wanted")
    wanted_ns: int = Field(ge=0, description="time that they were wanted, summed over the markets")
    proven_ns: int = Field(ge=0, description="of it, with a proven book")
    holes: int = Field(ge=0, description="rows that tell of frames that may be missing")
    least_market: str = Field("", description="market with the smallest share; empty without any")
    least_wanted_ns: int = Field(0, ge=0)
    least_proven_ns: int = Field(0, ge=0)

    @property
    def words(self) -> str:
        """Sentence about the run."""
        if not self.wanted_ns:
            return f"{self.run}: no market was wanted, nothing is covered"
        least = "" if not self.least_market else (
            f", least {self.least_market} {_share(self.least_proven_ns, self.least_wanted_ns)}"
        )  # fmt: skip
        return (
            f"{self.run}: {moment_words(self.first_ns)} to {moment_words(self.last_ns)}, "
            f"{_share(self.proven_ns, self.wanted_ns)} of the wanted time of {self.markets:,} markets proven"
            f"{least}; {self.holes:,} holes"
        )


def joined_runs(before: Iterable[CertifiedRun], now: Iterable[CertifiedRun]) -> tuple[CertifiedRun, ...]:
    """Runs of both by name; of a run in both, what is certified now."""
    runs = {run.run: run for run in (*before, *now)}
    return tuple(runs[name] for name in sorted(runs))


def coverage_words(runs: Sequence[CertifiedRun]) -> str:
    """Sentence about all runs together; empty without any."""
    if not runs:
        return ""
    wanted_ns, proven_ns = sum(r.wanted_ns for r in runs), sum(r.proven_ns for r in runs)
    counted = f"{len(runs):,} recorded run{'' if len(runs) == 1 else 's'}"
    if not wanted_ns:
        return f"{counted}: no market was wanted, nothing is covered"
    return (
        f"{_share(proven_ns, wanted_ns)} of the wanted time of {counted} has a proven book "
        f"(certified from sealed segments); {sum(r.holes for r in runs):,} holes"
    )


def coverage_lines(runs: Sequence[CertifiedRun]) -> list[str]:
    """Lines about all runs together, then about the last few."""
    last = [run.words for run in runs[-_SHOWN:]]
    earlier = len(runs) - len(last)
    return [coverage_words(runs), *([f"{earlier:,} earlier runs (--json)"] if earlier else []), *last]


def _share(part: int, whole: int) -> str:
    """Percentage rounded down to two digits: 100.00 % means all of it."""
    hundredths = 10_000 * part // whole if whole else 0
    return f"{hundredths // 100}.{hundredths % 100:02d} %"
