"""Name of the account that a journal belongs to: one key at one exchange, however its address is spelt."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from kalshi_platform.domain.config import digest_of
from kalshi_platform.trading.exchange.addresses import REAL_HOSTS

#: Name of the real exchange, which answers under several hosts.
_REAL_EXCHANGE: Final = "the real exchange"
_USUAL_PORTS: Final = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class AccountName:
    """One API key at one exchange; it holds no secret."""

    key_id: str
    url: str  # root of the REST calls

    @property
    def host(self) -> str:
        """Host and port of the exchange; one name for all hosts of the real one."""
        parts = urlsplit(self.url)
        name = (parts.hostname or "").rstrip(".")
        if name in REAL_HOSTS:
            return _REAL_EXCHANGE
        is_usual = parts.port in (None, _USUAL_PORTS.get(parts.scheme))
        return name if is_usual else f"{name}:{parts.port}"

    @property
    def digest(self) -> str:
        """Short name for files, 12 hex digits."""
        return digest_of([self.key_id, self.host])

    def __str__(self) -> str:
        return f"key {self.key_id} at {self.host}"
