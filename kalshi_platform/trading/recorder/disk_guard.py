"""Guard of the disk: an alarm while there is room, a clean stop before there is none."""

from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from pydantic import Field, model_validator

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.machine_room import free_disk_bytes

_GB = 10**9


class DiskConfig(Config):
    """Free bytes at which the recorder complains, and at which it stops."""

    alarm_bytes: int = Field(5 * _GB, ge=0, description="free bytes below which an alarm is raised")
    stop_bytes: int = Field(1 * _GB, ge=0, description="free bytes below which the recorder stops cleanly")

    @model_validator(mode="after")
    def _in_order(self) -> "DiskConfig":
        if self.stop_bytes > self.alarm_bytes:
            raise ValueError(f"stop_bytes {self.stop_bytes} is above alarm_bytes {self.alarm_bytes}")
        return self


class DiskState(Enum):
    """Meaning of the free bytes."""

    ENOUGH = "enough"
    ALARM = "alarm"
    STOP = "stop"


class DiskView(NamedTuple):
    """Free bytes and what they mean."""

    free_bytes: int
    state: DiskState


def look_at_disk(place: Path, config: DiskConfig, free: Callable[[Path], int] = free_disk_bytes) -> DiskView:
    """State of the disk that holds ``place``."""
    left = free(place)
    if left < config.stop_bytes:
        return DiskView(left, DiskState.STOP)
    return DiskView(left, DiskState.ALARM if left < config.alarm_bytes else DiskState.ENOUGH)
