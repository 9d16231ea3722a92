"""Name of the account that a journal belongs to: one key at one exchange."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from kalshi_platform.domain.config import digest_of


@dataclass(frozen=True, slots=True)
class AccountName:
    """One API key at one exchange; it holds no secret."""

    key_id: str
    url: str  # root of the REST calls

    @property
    def host(self) -> str:
        """Host and port of the exchange."""
        return urlsplit(self.url).netloc

    @property
    def digest(self) -> str:
        """Short name for files, 12 hex digits."""
        return digest_of([self.key_id, self.host])

    def __str__(self) -> str:
        return f"key {self.key_id} at {self.host}"
