"""Name of the account that a journal belongs to: one key at one exchange, however its address is spelt.

One name   the hosts of the real exchange; those of its demonstration; every spelling of this machine with one
           port: simulated exchanges at two ports are two.
Before     2 December 2026 a spelling of the demonstration or of this machine was a name of its own:
           ``former_digests`` are the places in which it left what is known of the account (newest.py).
"""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from kalshi_platform.domain.config import digest_of
from kalshi_platform.trading.exchange.addresses import DEMO_HOSTS, REAL_HOSTS, is_loopback_host

#: Name of the real exchange, which answers under several hosts.
_REAL_EXCHANGE: Final = "the real exchange"
#: The usual spellings of the demonstration and of this machine stand for all: what they left keeps its place.
_DEMO: Final = "external-api.demo.kalshi.co"
_HERE: Final = "127.0.0.1"
_OTHERS_HERE: Final = frozenset({"localhost", "::1"})
_USUAL_PORTS: Final = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class AccountName:
    """One API key at one exchange; it holds no secret."""

    key_id: str
    url: str  # root of the REST calls

    @property
    def host(self) -> str:
        """Host and port of the exchange: one name for all spellings of one exchange."""
        if self._spelt in REAL_HOSTS:
            return _REAL_EXCHANGE
        if self._spelt in DEMO_HOSTS:
            return _DEMO
        return self._with_port(_HERE if self.is_here else self._spelt)

    @property
    def is_here(self) -> bool:
        """True for an exchange on this machine: a simulated one, without anybody's money."""
        return is_loopback_host(self._spelt)

    @property
    def digest(self) -> str:
        """Short name for files, 12 hex digits."""
        return digest_of([self.key_id, self.host])

    @property
    def former_digests(self) -> tuple[str, ...]:
        """Digests that other spellings of the same exchange had once."""
        spellings = DEMO_HOSTS if self._spelt in DEMO_HOSTS else _OTHERS_HERE if self.is_here else frozenset()
        hosts = {self._with_port(name) for name in {*spellings, self._spelt} if spellings} - {self.host}
        return tuple(digest_of([self.key_id, host]) for host in sorted(hosts))

    @property
    def _spelt(self) -> str:
        """Host as the address spells it, in small letters."""
        return (urlsplit(self.url).hostname or "").rstrip(".")

    def _with_port(self, host: str) -> str:
        """``host`` and the port of the address, where that is an unusual one."""
        parts = urlsplit(self.url)
        is_usual = parts.port in (None, _USUAL_PORTS.get(parts.scheme))
        return host if is_usual else f"{host}:{parts.port}"

    def __str__(self) -> str:
        return f"key {self.key_id} at {self.host}"
