"""Settings of execution: how often the exchange is asked, and how long a lost outcome is waited for."""

from pathlib import Path

from pydantic import Field

from kalshi_platform.domain.config import Config


class ExecutionSettings(Config):
    """Patience of one executor."""

    reconcile_every_s: float = Field(30.0, gt=0, description="time between two comparisons")
    reconcile_age_s: float = Field(
        120.0, gt=0, description="age of the last whole comparison at which no order goes out any more"
    )
    look_every_s: float = Field(
        1.0,
        gt=0,
        description="time between two comparisons while an outcome is unknown, or a report is doubtful",
    )
    grace_s: float = Field(
        15.0, gt=0, description="time over which whole lists must not show an order before it is given up"
    )
    looks: int = Field(3, ge=2, description="reads in a row that must show the same difference")
    look_pause_s: float = Field(0.5, gt=0, description="time between those reads")
    maintain_every_s: float = Field(0.5, gt=0, description="time between two rounds of upkeep")
    cancel_all_holds_s: float = Field(
        60.0, ge=60, description="time after a cancel of all in which the exchange may cancel new orders too"
    )
    kept_orders: int = Field(
        2_000, ge=0, description="ended orders that stay in memory; older ones are read from the journal"
    )
    keys_every_s: float = Field(3_600.0, gt=0, description="time between two looks at the key's location")
    kill_file: Path | None = Field(None, description="trading halts while this file is there")
