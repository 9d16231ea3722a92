"""Records of a progressive run: its settings, the result of every level, and why it was kept or not.

Owns     ProgressiveConfig, the records in progressive.json and the decision on a level, a pure function.
Folder   <out>/progressive.json, progressive.html, <k>-<level>/ (a training run each)
Units    Sharpe ratios are per block; returns are fractions of the episode's capital.
"""

from pathlib import Path
from typing import Final

from pydantic import Field, model_validator

from kalshi_platform.domain.commit import Stamp
from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import DataError, LimitError
from kalshi_platform.domain.json_text import json_value
from kalshi_platform.evaluation.statistics.blocks import decides_nothing
from kalshi_platform.evaluation.statistics.bootstrap import BootstrapConfig, Interval
from kalshi_platform.learning.training.session import RunSettings
from kalshi_platform.models.networks.transfer import TransferReport
from kalshi_platform.models.registry.evidence import Latency
from kalshi_platform.models.registry.provenance import DataCounts
from kalshi_platform.workflows.complexity import PlateauConfig, require_levels

RECORD_FILE: Final = "progressive.json"
PAGE_FILE: Final = "progressive.html"


class ProgressiveConfig(Config):
    """Settings of a progressive run: levels from simple to complex, each started from the last one kept."""

    run: RunSettings = RunSettings()
    levels: tuple[str, ...] = Field(("simple", "moderate", "advanced"), min_length=1)
    steps_per_level: int = Field(1_000_000, gt=0, description="environment steps a level may use")
    plateau: PlateauConfig = PlateauConfig()
    min_gain_sharpe: float = Field(0.1, description="Sharpe a level must gain over the last one kept")
    min_first_sharpe: float = Field(0.5, description="Sharpe the first level must reach, or nothing is grown")
    bootstrap: BootstrapConfig = BootstrapConfig()

    @model_validator(mode="after")
    def _levels_are_known(self) -> "ProgressiveConfig":
        require_levels(self.levels)
        if self.run.train.teacher:
            raise ValueError(
                f"run.train.teacher={self.run.train.teacher!r}: the pipeline chooses the teacher itself"
            )
        return self

    def settings_of(self, level: str, teacher: str) -> RunSettings:
        """Settings of the run of one level."""
        train = {"level": level, "total_env_steps": self.steps_per_level, "teacher": teacher}
        return self.run.with_values({f"train.{name}": value for name, value in train.items()})


class Judged(Config):
    """Result of a policy on the validation blocks that decide on a level."""

    score: Interval  # mean return over blocks
    sharpe: float | None  # per block; None below three blocks, and where they have no spread
    events: dict[str, float]  # event -> mean return of its markets
    blocks: dict[str, float] | None = None  # block -> mean return of its events; None in earlier records

    @property
    def block_returns(self) -> dict[str, float]:
        """Return of each block by its name; in earlier records each event was one."""
        return self.events if self.blocks is None else self.blocks

    @property
    def n_blocks(self) -> int:
        """Number of independent blocks that judge."""
        return len(self.block_returns)


class Transfer(Config):
    """Start of a level before any training: the part it took over from the last level kept, and its score."""

    report: TransferReport
    kl: float  # nats a slot, of the teacher's decisions against the grown network's
    n_observations: int  # on which that was measured
    before_training: Judged


class LevelRecord(Config):
    """One level: its training, its score, and the decision on it."""

    level: str
    run: str  # folder of the run, relative to the pipeline's
    env_steps: int
    wall_s: float
    stopped: str  # "budget", "patience" or the plateau in words
    judged: Judged
    transfer: Transfer | None  # None for the first level
    difference: Interval | None  # of Sharpe, against the last level kept; None for the first level
    latency: Latency
    budget_ms: float
    kept: bool
    reason: str
    collapse: str = ""  # what is wrong with how its best policy trades; empty: nothing, or an earlier record


class ProgressiveRecord(Config):
    """Record of the whole pipeline; progressive.json is this record."""

    version: int = 1
    config: ProgressiveConfig
    dataset: str
    dataset_digest: str
    feature_digest: str
    commit: str | None
    made: Stamp | None = None  # None in earlier records
    judged_on: DataCounts | None = None  # events and blocks of the validation split; None in earlier records
    levels: tuple[LevelRecord, ...] = ()

    @property
    def kept(self) -> LevelRecord | None:
        """Last level kept, the one to use; None before any."""
        return next((x for x in reversed(self.levels) if x.kept), None)

    @property
    def is_finished(self) -> bool:
        """True where nothing is left to train: a level was not kept, or it was the last."""
        return bool(self.levels) and (not self.levels[-1].kept or len(self.levels) == len(self.config.levels))

    @property
    def verdict(self) -> str:
        """One sentence that says which level to use and why the pipeline ended."""
        if not self.levels:
            return "No level is finished yet."
        last, kept = self.levels[-1], self.kept
        if kept is None:
            return f"No level is worth using: {last.reason}."
        if not last.kept:
            return f"Use {kept.level}. {last.level.capitalize()} is not kept: {last.reason}."
        if not self.is_finished:
            return f"{last.level.capitalize()} is kept so far: {last.reason}."
        return f"Use {kept.level}, the last level asked for: {last.reason}."

    def require_kept(self) -> LevelRecord:
        """Level to use; a LimitError where even the first is not worth it."""
        if self.kept is None:
            raise LimitError(f"{self.verdict} Train longer (--steps), on more events, or lower --min-sharpe")
        return self.kept


def decide_first(config: ProgressiveConfig, judged: Judged) -> tuple[bool, str]:
    """Decide whether the first level is worth growing from; returns (kept, reason).

    Its latency is only reported, because no smaller level could take its place.
    """
    asked = f"the {config.min_first_sharpe:g} asked of the first level"
    if judged.sharpe is None:
        why = decides_nothing(judged.n_blocks) or f"{judged.n_blocks} blocks without spread"
        return False, f"no Sharpe ratio ({why}), so nothing shows {asked}"
    kept = judged.sharpe >= config.min_first_sharpe
    word = "reaches" if kept else "is below"
    return kept, f"Sharpe {judged.sharpe:.3f} a block over {judged.n_blocks} blocks {word} {asked}"


def decide(
    config: ProgressiveConfig, rival: str, difference: Interval, latency: Latency, budget_ms: float
) -> tuple[bool, str]:
    """Decide whether a level replaces ``rival``: it gains enough, surely, and decides fast enough.

    Enough: the paired difference of Sharpe is at least ``min_gain_sharpe``. Surely: its whole interval,
    blocks drawn jointly for both, lies above zero. Fast: p99 of one decision within ``budget_ms``.
    Returns (kept, reason).
    """
    wrong = []
    gain = difference.estimate
    if gain is None:
        wrong.append(f"its gain over {rival} is unknown ({difference.note})")
    elif gain < config.min_gain_sharpe:
        wrong.append(f"it gains {gain:+.3f} Sharpe over {rival}, less than {config.min_gain_sharpe:g}")
    if gain is not None and not difference.above_zero:
        bounds = "has no interval" if difference.low is None else f"may be as low as {difference.low:+.3f}"
        wrong.append(f"the gain of {gain:+.3f} Sharpe over {rival} {bounds}, not surely above zero")
    if latency.p99_ms > budget_ms:
        wrong.append(
            f"p99 of a decision is {latency.p99_ms:.1f} ms of computing, its budget {budget_ms:g} ms"
        )
    if wrong:
        return False, "; ".join(wrong)
    return True, (
        f"it gains {gain:+.3f} Sharpe over {rival}, at least {difference.low:+.3f}, and decides in "
        f"{latency.p99_ms:.1f} of {budget_ms:g} ms (p99)"
    )


def read_progressive(folder: Path) -> ProgressiveRecord | None:
    """Record in ``folder``; None where there is none, DataError where it is damaged."""
    path = Path(folder) / RECORD_FILE
    try:
        return ProgressiveRecord.parse(json_value(path.read_text()))
    except FileNotFoundError:
        return None
    except ValueError as err:
        raise DataError(f"{path} is not JSON ({err}); remove it to judge its levels again") from None
