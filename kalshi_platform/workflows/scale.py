"""Tells beforehand what a number of markets and rows needs, and what of it a machine does not have.

Owns    the arithmetic from the measured slopes (``domain/slopes.py``) to memory, disk and minutes.
Honest  every figure is a slope times a size: beyond the sizes of the slope it is extrapolated, and is said
        to be. Nothing here measures.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple, Self

from kalshi_platform.domain import slopes
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.machine_room import free_disk_bytes, free_memory_bytes, own_cores
from kalshi_platform.domain.slopes import TRAIN_SHARE, Slope, paying_workers
from kalshi_platform.simulation.replay.cache import limit_bytes, usual_limit_bytes

GIB: Final = 2**30
GB: Final = 10**9
#: Seconds that a step of the way may take before it is called slow.
_DAY_S, _HOUR_S = 86_400.0, 3_600.0
#: No size is planned beyond: there are fewer rows in the world.
_MOST_ROWS: Final = 10**15
#: Sizes from a 2**-40th to 2**40 times the planned one are searched for the first that breaks, in 50 steps.
_DOUBLINGS, _HALVINGS = 40.0, 50


class ScaleMachine(NamedTuple):
    """Machine for which is planned: cores, memory and disk that are free for this, the cache's own limit."""

    name: str
    cores: int
    memory_bytes: float
    disk_bytes: float
    cache_bytes: float | None = None  # None: the usual limit on a disk of this size

    @classmethod
    def here(cls, place: Path) -> Self:
        """Read this machine, with the disk of ``place`` and the limit that its cache has now."""
        cache = float(limit_bytes())
        return cls("this machine", own_cores(), free_memory_bytes(), free_disk_bytes(place), cache)

    @classmethod
    def parse(cls, text: str, place: Path) -> Self:
        """Read ``this``, a name of MACHINES, or ``CORES,MEMORY_GIB,DISK_GB``; ContractError for others."""
        if text == "this":
            return cls.here(place)
        if text in MACHINES:
            return cls(text, *MACHINES[text])
        found = re.fullmatch(r"(\d{1,6}),(\d{1,9}(?:\.\d+)?),(\d{1,9}(?:\.\d+)?)", text.replace(" ", ""))
        if found is None or int(found[1]) < 1:
            raise ContractError(
                f"--machine {text!r}: give this, cores,memory in GiB,disk in GB such as 8,16,500, or one of "
                f"{', '.join(MACHINES)}"
            )
        return cls(text, int(found[1]), float(found[2]) * GIB, float(found[3]) * GB)

    @property
    def cache_limit_bytes(self) -> float:
        """Bytes that the cache of opened datasets may hold."""
        return usual_limit_bytes(self.disk_bytes) if self.cache_bytes is None else self.cache_bytes

    def words(self) -> str:
        """The machine in one line."""
        return (
            f"{self.name}: {self.cores} cores, {self.memory_bytes / GIB:.1f} GiB of memory, "
            f"{self.disk_bytes / GB:,.0f} GB of disk"
        )


#: Machines of AWS (their data sheets; EBS disk as chosen here): cores, bytes of memory, bytes of disk.
MACHINES: Final[dict[str, tuple[int, float, float]]] = {
    "c7i.2xlarge": (8, 16 * GIB, 500 * GB),
    "m7i.4xlarge": (16, 64 * GIB, 2_000 * GB),
    "r7i.8xlarge": (32, 256 * GIB, 8_000 * GB),
    "g6.2xlarge": (8, 32 * GIB, 450 * GB),
}


class Need(NamedTuple):
    """One need: what for, how much, how much there is, and what to do where it is too little."""

    what: str
    need: float
    have: float  # infinite where nothing limits it
    unit: str  # "GiB", "GB" or "s"
    remedy: str
    slopes: tuple[Slope, ...] = ()
    only_slows: bool = False  # beyond what there is, work goes on and is slower

    @property
    def fits(self) -> bool:
        """True where there is enough."""
        return self.need <= self.have


class ScalePlan(NamedTuple):
    """Needs of one size on one machine."""

    markets: int
    rows: int
    machine: ScaleMachine
    bucket: bool
    needs: tuple[Need, ...]

    @property
    def fits(self) -> bool:
        """True where nothing stops; something may be slow."""
        return all(need.fits or need.only_slows for need in self.needs)

    @property
    def first(self) -> Need:
        """The need that breaks first while markets and rows grow, of those that stop the work."""
        return self.needs[self._breaks_first()[0]]

    def _breaks_first(self) -> tuple[int, float]:
        """Place of :attr:`first` among the needs, and the multiple of this size at which it breaks."""
        stopping = [k for k, need in enumerate(self.needs) if not need.only_slows]
        return min(((k, self._breaks_at(k)) for k in stopping), key=lambda found: found[1])

    def _breaks_at(self, place: int) -> float:
        """Multiple of this size at which need ``place`` is not met, found by halving: needs have a base."""
        low, high = -_DOUBLINGS, _DOUBLINGS
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            markets, rows = (max(round(n * 2.0**middle), 1) for n in (self.markets, self.rows))
            if _needs(markets, rows, self.machine, self.bucket)[place].fits:
                low = middle
            else:
                high = middle
        return float(2.0**high)

    @property
    def slow(self) -> tuple[Need, ...]:
        """Needs that are not met, whose lack only makes the work slower."""
        return tuple(need for need in self.needs if need.only_slows and not need.fits)

    def verdict(self) -> str:
        """One line: what breaks first and what to do, or how far the size may grow."""
        place, times = self._breaks_first()
        first = self.needs[place]
        slow = f"; slow: {', '.join(need.what for need in self.slow)}" if self.slow else ""
        if not first.fits:
            return (
                f"breaks first: {first.what}, {_amount(first.need, first.unit)} of "
                f"{_amount(first.have, first.unit)}: {first.remedy}{slow}"
            )
        return (
            f"fits{slow}; next to break: {first.what}, at about {times:,.1f} times this size: {first.remedy}"
        )


def scale_plan(markets: int, rows: int, machine: ScaleMachine, bucket: bool = False) -> ScalePlan:
    """Needs of a dataset of ``rows`` source rows in ``markets`` on ``machine``.

    ``bucket``: the dataset lies in a bucket, and not on the machine's disk. ContractError for a size below 1
    or beyond _MOST_ROWS.
    """
    if markets < 1 or rows < markets:
        raise ContractError(
            f"--markets {markets} --rows {rows}: give at least one market, and a row for each of them"
        )
    if rows > _MOST_ROWS:
        raise ContractError(f"{len(str(rows))} digits of rows: give at most {_MOST_ROWS:,}")
    return ScalePlan(markets, rows, machine, bucket, _needs(markets, rows, machine, bucket))


def _needs(markets: int, rows: int, machine: ScaleMachine, bucket: bool) -> tuple[Need, ...]:
    return (
        *_memory(markets, rows, machine),
        *_disk(markets, rows, machine, bucket),
        *_time(markets, rows, machine, bucket),
    )


def _memory(markets: int, rows: int, machine: ScaleMachine) -> Iterable[Need]:
    base, a_market = slopes.BUILD_BASE_BYTES, slopes.BUILD_BYTES_A_MARKET
    driver = base.value + markets * a_market.value
    workers = (paying_workers(rows, machine.cores) - 1) * base.value
    have = machine.memory_bytes / GIB
    yield Need(
        "memory of a build (all its processes)", (driver + workers) / GIB, have, "GiB",
        "build with fewer --workers, or on a machine with more memory: the process that assembles keeps a "
        "record of every market", (base, a_market),
    )  # fmt: skip
    base, a_market = slopes.OPEN_BASE_BYTES, slopes.OPEN_BYTES_A_MARKET
    opened = base.value + markets * a_market.value
    yield Need(
        "memory of one process that opens", opened / GIB, have, "GiB",
        "a machine with more memory, or several datasets", (base, a_market),
    )  # fmt: skip
    trainer = slopes.TRAINER_BYTES
    yield Need(
        "memory of one trainer", (trainer.value + markets * a_market.value) / GIB, have, "GiB",
        "fewer trials at once on a machine (they ask Ray for memory), or more memory", (trainer, a_market),
    )  # fmt: skip


def _disk(markets: int, rows: int, machine: ScaleMachine, bucket: bool) -> Iterable[Need]:
    have = machine.disk_bytes / GB
    dataset = slopes.dataset_bytes(rows, markets)
    if not bucket:
        yield Need(
            "disk of the recordings and the dataset",
            (dataset + rows * slopes.RECORDING_BYTES_A_ROW.value) / GB, have, "GB",
            "keep recordings and dataset in a bucket (s3://), or use a larger disk",
            (slopes.RECORDING_BYTES_A_ROW, slopes.DATASET_BYTES_A_ROW, slopes.MANIFEST_BYTES_A_MARKET),
        )  # fmt: skip
    else:
        yield Need(
            "size of the dataset in the bucket", dataset / GB, float("inf"), "GB", "",
            (slopes.DATASET_BYTES_A_ROW, slopes.MANIFEST_BYTES_A_MARKET), True,
        )  # fmt: skip
    bank = rows * TRAIN_SHARE * slopes.BANK_BYTES_A_ROW.value / GB
    yield Need(
        "cache for the whole bank", bank, machine.cache_limit_bytes / GB, "GB",
        "nothing stops: beyond the cache's limit shards are read on demand, which is slower; raise the limit "
        "(KALSHI_PLATFORM_CACHE_GB) or train on fewer feature sets", (slopes.BANK_BYTES_A_ROW,), True,
    )  # fmt: skip
    yield Need(
        "memory for the whole bank (page cache)", bank * GB / GIB, machine.memory_bytes / GIB, "GiB",
        "nothing stops: a bank larger than memory is read from the disk again and again, which is slower",
        (slopes.BANK_BYTES_A_ROW,), True,
    )  # fmt: skip


def _time(markets: int, rows: int, machine: ScaleMachine, bucket: bool) -> Iterable[Need]:
    a_core, a_pair = slopes.BUILD_ROWS_A_CORE_SECOND, slopes.OUTCOME_SECONDS_A_PAIR
    pairs = markets * markets / slopes.MARKETS_AN_EVENT
    workers = paying_workers(rows, machine.cores)
    yield Need(
        "time to build", (rows / a_core.value + pairs * a_pair.value) / workers, _DAY_S, "s",
        "more cores: --workers, or a Ray cluster; or build day by day (--add)", (a_core, a_pair), True,
    )  # fmt: skip
    named = slopes.NAME_SECONDS_A_PAIR  # twice: before the events are divided and after it
    yield Need(
        "time to name the jobs of a build (one process)", 2 * pairs * named.value, _DAY_S, "s",
        "it grows with the square of the markets: build day by day (--add), or several datasets", (named,),
        True,
    )  # fmt: skip
    a_market, a_second = slopes.OPEN_SECONDS_A_MARKET, slopes.COLD_ROWS_A_SECOND
    cold = markets * a_market.value + rows * TRAIN_SHARE / a_second.value
    yield Need(
        "time to open cold, once a machine", cold, _HOUR_S, "s",
        "keep the cache's folder from one machine to the next (a volume), or train on fewer feature sets",
        (a_market, a_second), True,
    )  # fmt: skip
    if bucket:
        objects = 2 * markets / slopes.MARKETS_AN_EVENT * slopes.OBJECT_SECONDS.value / _PARALLEL
        yield Need(
            f"waiting for the bucket's objects, {_PARALLEL} at a time", objects, _HOUR_S, "s",
            "open in the bucket's region, or copy the dataset to the disk", (slopes.OBJECT_SECONDS,), True,
        )  # fmt: skip
    samples = slopes.TRAIN_SAMPLES_A_SECOND
    yield Need(
        "time for 1,000,000 training samples, level tiny", 1e6 / samples.value, float("inf"), "s",
        "a larger machine or a GPU (make device-check)", (samples,), True,
    )  # fmt: skip


#: Objects of a bucket that are read at once (``storage/many.py``).
_PARALLEL: Final = 16


def _amount(value: float, unit: str) -> str:
    if value == float("inf"):
        return "any"
    if unit != "s":
        return f"{value:,.2f} {unit}" if value < 10 else f"{value:,.0f} {unit}"
    minutes, hours = value / 60, value / 3_600
    return f"{value:,.0f} s" if value < 120 else f"{minutes:,.0f} min" if minutes < 120 else f"{hours:,.0f} h"


def plan_lines(plan: ScalePlan) -> list[str]:
    """The plan as lines of text."""
    lines = [f"{plan.markets:,} markets, {plan.rows:,} rows on {plan.machine.words()}", ""]
    for need in plan.needs:
        mark = "     " if need.fits else "  ~  " if need.only_slows else "  !  "
        lines.append(
            f"{mark}{need.what:<52} {_amount(need.need, need.unit):>14} of {_amount(need.have, need.unit)}"
        )
        if not need.fits:
            lines.append(f"       {need.remedy}")
    return [*lines, "", plan.verdict(), "", extrapolation_words(plan)]


def extrapolation_words(plan: ScalePlan) -> str:
    """Say from which measurements the figures come, and that they are extrapolated."""
    used = dict.fromkeys(slope for need in plan.needs for slope in need.slopes)
    lines = ["Extrapolated along straight lines; measured were:"]
    lines += [f"  {s.what}: {_figure(s)} ({s.source})" for s in used]
    return "\n".join(lines)


def _figure(slope: Slope) -> str:
    """Value and unit of a slope."""
    if slope.unit == "B":
        return f"{slope.value / 2**20:,.0f} MiB"
    return f"{slope.value:,.6g} {slope.unit}"


def plan_json(plan: ScalePlan) -> dict[str, object]:
    """The plan as a JSON object."""
    return {
        "markets": plan.markets,
        "rows": plan.rows,
        "machine": {**plan.machine._asdict(), "cache_bytes": plan.machine.cache_limit_bytes},
        "fits": plan.fits,
        "verdict": plan.verdict(),
        "needs": [
            {"what": n.what, "need": n.need, "have": None if n.have == float("inf") else n.have,
             "unit": n.unit, "fits": n.fits, "only_slows": n.only_slows,
             "remedy": n.remedy} for n in plan.needs
        ],
        "extrapolated_from": [s._asdict() for s in dict.fromkeys(s for n in plan.needs for s in n.slopes)],
    }  # fmt: skip


#: Sizes of the table on paper: (markets, rows).
PAPER_SIZES: Final = (
    (10_000, 20_000_000),
    (100_000, 200_000_000),
    (500_000, 1_000_000_000),
    (1_000_000, 2_000_000_000),
    (5_000_000, 10_000_000_000),
)
PAPER_MACHINES: Final = ("c7i.2xlarge", "m7i.4xlarge", "r7i.8xlarge")


def paper_table() -> str:
    """Table of PAPER_SIZES on PAPER_MACHINES, the dataset in a bucket, as Markdown (``docs/scale.md``)."""
    sizes = [f"{markets:,} markets, {rows:.0e} rows".replace("e+0", "e") for markets, rows in PAPER_SIZES]
    lines = []
    for name in PAPER_MACHINES:
        machine = ScaleMachine(name, *MACHINES[name])
        plans = [scale_plan(markets, rows, machine, bucket=True) for markets, rows in PAPER_SIZES]
        lines += [f"### {machine.words()}", "", _row("", sizes), _row("---", ["---"] * len(sizes))]
        for k, need in enumerate(plans[0].needs):
            cells = [
                _amount(p.needs[k].need, need.unit) if p.needs[k].fits else
                f"**{_amount(p.needs[k].need, need.unit)}**" for p in plans
            ]  # fmt: skip
            limit = "" if need.have == float("inf") else f" (of {_amount(need.have, need.unit)})"
            lines.append(_row(need.what + limit, cells))
        lines += [_row("breaks first", [p.first.what if not p.fits else "nothing" for p in plans])]
        lines += [
            _row("slow", [", ".join(n.what for n in p.slow) or "nothing" for p in plans]),
            "",
        ]
    return "\n".join(lines)


def slopes_table() -> str:
    """Table of all slopes with their measurement, as Markdown."""
    lines = ["| slope | value | measured | command | at |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| {s.what} | {_figure(s)} | {s.date}, {s.machine} | `{s.command}` | {s.sizes} |"
        for s in slopes.SLOPES
    ]
    return "\n".join(lines) + "\n"


def _row(name: str, cells: Iterable[str]) -> str:
    return f"| {' | '.join([name, *cells])} |"
