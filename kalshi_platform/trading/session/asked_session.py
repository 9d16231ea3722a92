"""Options of a trading session, as a user asks for it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from kalshi_platform.models.registry.store import Registry
from kalshi_platform.trading.execution.risk.limits import RiskLimits
from kalshi_platform.trading.recorder.settings import RecordConfig
from kalshi_platform.trading.session.modes import TradingMode
from kalshi_platform.trading.session.session_config import TradingSessionConfig

#: Says one line to the user.
Tell = Callable[[str], None]


@dataclass(frozen=True)
class AskedSession:
    """Session that a user asked for."""

    mode: TradingMode
    config: TradingSessionConfig
    record: RecordConfig
    out: Path
    registry: Registry
    alias: str
    minutes: float | None = None
    alerts: Path | None = None
    limits: RiskLimits = field(default_factory=RiskLimits)  # of modes that send orders
    page_port: int = 0  # on loopback; 0: any free one
    resume: str = ""  # why a halted account may trade again; empty: it may not
    accept_losses: bool = False  # resuming, count day, drawdown and streak anew
    confirm: Callable[[str], str] = lambda words: ""  # asks a person to type the words
    tui: bool = False  # draw on this terminal in place of lines
