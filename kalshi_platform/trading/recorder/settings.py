"""Settings of one recording."""

from urllib.parse import urlsplit

from pydantic import Field

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.worlds import UNNAMED
from kalshi_platform.trading.exchange.addresses import REAL_HOSTS
from kalshi_platform.trading.recorder.disk_guard import DiskConfig
from kalshi_platform.trading.recorder.facts.directory import FilterConfig
from kalshi_platform.trading.recorder.follow.book_checks import BookCheckConfig
from kalshi_platform.trading.recorder.segments.journal import JournalConfig


class RecordConfig(Config):
    """Settings of one recording: its markets, how often it is checked, how much disk it may take."""

    wanted: FilterConfig
    journal: JournalConfig = JournalConfig()
    disk: DiskConfig = DiskConfig()
    checks: BookCheckConfig = BookCheckConfig()
    world: str = Field(
        UNNAMED, pattern=r"[a-z][a-z0-9_]{0,39}", description="world of an exchange that is not the real one"
    )
    backfill_s: float = Field(86_400.0, ge=0, description="trades and candles before the start to ask for")
    backfill_every_s: float = Field(60.0, gt=0, description="time between two looks at what is missing")
    outcome_every_s: float = Field(30.0, gt=0, description="time between two questions for outcomes")
    upload_every_s: float = Field(10.0, gt=0, description="time between two uploads")
    keep_s: float = Field(3_600.0, ge=0, description="time that an uploaded segment stays on this disk")
    age_alarm_ms: float = Field(1_000.0, gt=0, description="growth of the messages' age that raises an alarm")
    silence_alarm_s: float = Field(60.0, gt=0, description="time without a connection that raises an alarm")


def is_simulated(*urls: str) -> bool:
    """True unless every address is one of the real exchange; its demonstration trades with play money."""
    return not all(urlsplit(url).hostname in REAL_HOSTS for url in urls)
