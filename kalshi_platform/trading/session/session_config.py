"""Settings of one session besides its mode."""

from pydantic import Field

from kalshi_platform.domain.config import Config


class TradingSessionConfig(Config):
    """How a session decides, and how often it looks after everything else."""

    hz: float = Field(
        10.0, ge=0, le=1_000, description="decisions a second for all groups with news; 0 = at every message"
    )
    seed: int = Field(0, ge=0, description="of drawn latencies (setting latency_sigma of the model)")
    max_markets: int = Field(500, ge=1, description="markets at a time")
    accepts_missing: bool = Field(
        True, description="False: a market whose facts would be neutral values stays unseen"
    )
    most_backlog: int = Field(
        256, ge=1, description="frames that wait beyond which a decision waits for newer ones"
    )
    reload_s: float = Field(10.0, gt=0, description="between two looks for another model")
    outcomes_s: float = Field(1.0, gt=0, description="between two looks for outcomes")
    told_s: float = Field(10.0, gt=0, description="between two lines on the terminal (--plain)")
