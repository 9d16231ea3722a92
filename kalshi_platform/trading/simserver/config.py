"""Settings of one simulated exchange that serves."""

from typing import Final, Literal, Self

from pydantic import Field, model_validator

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.simulation.simexchange import preset_of
from kalshi_platform.simulation.simexchange.world import WorldConfig

#: Worlds whose agents trade on the matching core; the older worlds cannot be traded in.
ServedPreset = Literal["calibrated", "calibrated_apr10"]
Tier = Literal["basic", "advanced", "expert", "premier", "paragon", "prime", "prestige"]
ErrorBody = Literal["nested", "flat"]

#: 2100-01-01: times of the world, which goes on from here, must fit into 64 bits of nanoseconds (2262).
LAST_START_NS: Final = 4_102_444_800 * NS_PER_SECOND
#: Numbered subaccounts that the account may make.
MOST_SUBACCOUNTS: Final = 63
#: Shards of the exchange, and categories whose events are not on shard 0.
N_SHARDS: Final = 4
SHARD_OF_CATEGORY: Final = {"Sports": 3}


class ServerConfig(Config):
    """One served exchange; equal settings and no order from outside give equal books."""

    preset: ServedPreset = Field(
        "calibrated", description="which simulated world of agents, see docs/world.md"
    )
    n_events: int = Field(3, ge=1, le=2_000, description="number of events open at any time")
    seed: int = Field(0, ge=0, description="root of all randomness")
    speed: float = Field(1.0, gt=0, le=100_000, description="simulated seconds a second")
    start_ns: int | None = Field(
        None, ge=0, le=LAST_START_NS, description="simulated time at the start, up to 2100; None = now"
    )
    first_event: int = Field(
        0, ge=0, le=90_000, description="number of the first event: a second day needs events of its own"
    )
    slice_ms: float = Field(
        20.0, ge=1, le=1_000, description="wall time from one slice of the world to the next"
    )
    lead_s: float = Field(
        5.0, ge=0, le=3_600, description="simulated time from creation to opening of an event"
    )
    determine_s: float = Field(
        30.0, ge=0, le=86_400, description="simulated time from the close to the result"
    )
    settle_s: int = Field(60, ge=0, le=86_400, description="settlement timer, simulated seconds")
    keep_events: int = Field(50, ge=0, le=10_000, description="settled events that REST still shows")
    begun: bool = Field(True, description="first events stand at different ages, else all open at the start")
    cash_usd: float = Field(10_000, ge=0, le=1e9, description="cash of the account on every shard")
    tier: Tier = Field("basic", description="rate limits of the account")
    error_body: ErrorBody = Field(
        "nested", description="form of error bodies: as seen live, or as documented"
    )
    most_orders: int = Field(
        2_000, ge=1, le=200_000, description="orders from outside that one event has room for"
    )
    buffer_bytes: int = Field(
        8_388_608, ge=65_536, description="unsent bytes at which a slow reader is ended"
    )
    most_connections: int = Field(
        200, ge=1, le=10_000, description="WebSockets of the account; the next one is refused with 429"
    )
    sweep_s: float = Field(
        60.0, ge=0, le=3_600,
        description="simulated time after a cancel-all in which new orders are cancelled too; 0 = none",
    )  # fmt: skip
    weekly_pause: bool = Field(
        False, description="pause trading on Thursdays from 03:00 to 05:00 in New York, as the exchange does"
    )
    combos: int = Field(
        0, ge=0, le=100, description="combos (KXMVE) open at any time: listed and told, not traded"
    )
    world: dict[str, object] = Field(default_factory=dict, description="settings of the world to replace")

    @model_validator(mode="after")
    def _has_world(self) -> Self:
        self.world_config()  # refuses wrong names and values here, not at the first event
        return self

    def world_config(self) -> WorldConfig:
        """Settings of the world that is served."""
        found = preset_of(self.preset, self.seed)
        if not isinstance(found, WorldConfig):
            raise TypeError(f"{self.preset} is no world of agents")
        return found.with_values(dict(self.world)) if self.world else found
