"""The record of a comparison: both sides, every measure, every distance, the noise beside it.

Owns    what calibration.json holds. None stands where nothing could be computed; the reason stands beside it.
"""

from pydantic import Field

from kalshi_platform.domain.commit import Stamp
from kalshi_platform.domain.config import Config


class RealismConfig(Config):
    """Settings of a comparison."""

    draws: int = Field(400, ge=100, le=100_000, description="resamples of the recorded data behind its noise")
    seed: int = Field(20_261_129, ge=0, description="seed of the resamples")


class SideFacts(Config):
    """Facts of one side."""

    uri: str
    dataset_digest: str
    selected: tuple[str, ...] = Field(description="beginnings of the names of its events; none: all")
    events: int
    first_events: tuple[str, ...] = Field(description="names of the first of them")
    markets: int
    provenance: dict[str, int] = Field(description="markets of each provenance")
    rows: int = Field(description="messages")
    quoted_rows: int
    left_out: dict[str, int] = Field(description="rows that are not quoted, by reason")
    test_events: int = Field(description="events of the test split, which stayed shut")
    units: str = Field(description="what is resampled")
    doubts: dict[str, int] = Field(description="counters of the dataset that bear on results")


class SeenDistribution(Config):
    """Values of one side: their number, mean and quantiles."""

    n: int
    mean: float
    quantiles: dict[str, float] = Field(
        description="p5 to p95: the least value that the share does not exceed"
    )


class DistributionFound(Config):
    """One distribution of both sides; distances are None where a side has no value."""

    name: str
    group: str
    unit: str
    scale: str
    definition: str
    recorded: SeenDistribution | None
    simulated: SeenDistribution | None
    distance: float | None = Field(description="W1 on the scale, in distance_unit")
    distance_unit: str
    noise: float | None = Field(description="95th percentile of W1 between resamples and the recorded data")
    noise_median: float | None
    ks: float | None = Field(description="Kolmogorov-Smirnov distance, 0 to 1")
    ks_noise: float | None
    curves: tuple[tuple[float, float, float], ...] = Field(
        description="(value, share recorded at or below, share simulated), some points for the chart"
    )
    missing: dict[str, str] = Field(description="side -> markets that have no value, and why")


class NumberFound(Config):
    """One number of both sides; None where a side has none."""

    name: str
    group: str
    unit: str
    definition: str
    recorded: float | None
    simulated: float | None
    distance: float | None = Field(description="absolute difference")
    noise: float | None = Field(
        description="95th percentile of the difference between resamples and the data"
    )
    noise_median: float | None
    missing: dict[str, str]

    @property
    def distance_unit(self) -> str:
        """Unit of the difference."""
        return self.unit


class Realism(Config):
    """A simulated dataset beside a recorded one."""

    recorded: SideFacts
    simulated: SideFacts
    distributions: tuple[DistributionFound, ...]
    numbers: tuple[NumberFound, ...]
    limits: tuple[str, ...] = Field(description="sentences on what the data cannot show")
    config: RealismConfig
    made: Stamp

    @property
    def found(self) -> tuple[DistributionFound | NumberFound, ...]:
        """All measures, in the order of the table."""
        return (*self.distributions, *self.numbers)


def is_within(found: DistributionFound | NumberFound) -> bool | None:
    """True where the distance is not above the recorded data's noise; None where either is unknown."""
    if found.distance is None or found.noise is None:
        return None
    return found.distance <= found.noise
