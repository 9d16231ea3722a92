"""Faults as they are asked for: one model, a schedule of them, and what each kind needs."""

from pathlib import Path
from typing import Final, Literal, Self

from pydantic import Field, model_validator

from kalshi_platform.domain.bounded import bounded_message
from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.json_text import json_value

FrameKind = Literal["drop_frame", "duplicate_frame", "duplicate_ack", "reorder_frame", "skip_seq"]
SocketKind = Literal["overflow", "channel_error", "disconnect", "half_open"]
RestKind = Literal[
    "http_429", "http_5xx", "timeout_accepted", "timeout_refused", "late_ack", "not_found_after_fill",
    "partial_page",
]  # fmt: skip
WorldKind = Literal[
    "pause", "maintenance", "market_pause", "tick_change", "early_close", "redetermine", "fee_change",
    "drift", "clock_skew",
]  # fmt: skip
FRAME_KINDS: Final = ("drop_frame", "duplicate_frame", "duplicate_ack", "reorder_frame", "skip_seq")
SOCKET_KINDS: Final = ("overflow", "channel_error", "disconnect", "half_open")
REST_KINDS: Final = (
    "http_429", "http_5xx", "timeout_accepted", "timeout_refused", "late_ack", "not_found_after_fill",
    "partial_page",
)  # fmt: skip


class PlantedFault(Config):
    """One fault: it strikes the next ``count`` times that something fits, or at once where nothing must."""

    kind: FrameKind | SocketKind | RestKind | WorldKind
    at_s: float = Field(
        0, ge=0, le=1e9, description="simulated seconds after the start of the server; the past = now"
    )
    count: int = Field(1, ge=1, le=1_000_000, description="how often it strikes; skip_seq: numbers left out")
    channel: str | None = Field(None, description="frames of this channel only")
    ticker: str | None = Field(None, description="this market or event only; empty = any, the first open one")
    method: str | None = Field(None, description="requests of this method only")
    path: str | None = Field(None, description="requests whose path has this part only")
    seconds: float = Field(
        1.0, ge=0, le=86_400,
        description="length of a pause, time to an early close (simulated); of a silence before a cut (wall)",
    )  # fmt: skip
    status: int = Field(503, ge=500, le=599, description="status of http_5xx")
    accepted: bool = Field(False, description="http_5xx: the request is done all the same")
    shard: int | None = Field(None, ge=0, le=3, description="pause, maintenance: this shard only")
    full: bool = Field(False, description="pause, maintenance: of the exchange, cancels refused too")
    skew_ms: int = Field(
        0, ge=-86_400_000, le=86_400_000, description="clock_skew: added to the server's clocks"
    )
    qty_e2: int = Field(
        100, ge=1, le=10**12, description="drift: 1e-2 contract more on the best bid of the REST book"
    )
    fee_multiplier_e6: int = Field(500_000, ge=0, le=10**9, description="fee_change: multiplier, 1e-6")

    @property
    def wanted_channel(self) -> str | None:
        """Channel whose frames it strikes; None = any."""
        return "user_orders" if self.kind == "duplicate_ack" else self.channel


class RandomFault(Config):
    """A fault that comes again and again at random simulated times."""

    fault: PlantedFault
    per_hour: float = Field(gt=0, le=36_000, description="mean number a simulated hour")


class FaultSchedule(Config):
    """Faults of a file; equal files give equal times."""

    seed: int = Field(0, ge=0)
    faults: tuple[PlantedFault, ...] = ()
    random: tuple[RandomFault, ...] = ()

    @model_validator(mode="after")
    def _has_faults(self) -> Self:
        if not self.faults and not self.random:
            raise ValueError("a schedule without faults and without random ones plants nothing")
        return self


def read_schedule(path: Path) -> FaultSchedule:
    """Return the schedule in a JSON file; ContractError where it is none."""
    try:
        return FaultSchedule.parse(json_value(path.read_text()))
    except (OSError, ValueError, TypeError, ContractError) as err:
        raise ContractError(f"{path}: is no schedule of faults ({bounded_message(str(err), 400)})") from None
