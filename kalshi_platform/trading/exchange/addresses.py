"""Addresses of the exchange, checked where they are given: a bad one would fail at every connection."""

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from kalshi_platform.domain.bounded import shown_value
from kalshi_platform.domain.hidden_user import shown_address

#: Hosts of the exchange itself, on which real money trades. Anything else is marked as simulated.
REAL_HOSTS: Final = frozenset({
    "external-api.kalshi.com", "external-api-ws.kalshi.com", "api.elections.kalshi.com",
})  # fmt: skip
#: Hosts of the exchange's demonstration, on which play money trades.
DEMO_HOSTS: Final = frozenset({
    "external-api.demo.kalshi.co", "external-api-ws.demo.kalshi.co", "demo-api.kalshi.co",
})  # fmt: skip


def is_loopback_host(host: str) -> bool:
    """True for a host that is this machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def checked_address(url: str, schemes: tuple[str, ...]) -> str:
    """Return ``url``; ValueError unless it has one of ``schemes``, a host, and a port that can be or none."""
    example, shown = f"{schemes[-1]}://HOST[:PORT]/PATH", shown_value(shown_address(url), 200)
    if why := _fault(url):
        raise ValueError(f"{shown}: {why}, so it is no address; expected {example}")
    parts = urlsplit(url)
    if parts.scheme not in schemes or not parts.hostname:
        raise ValueError(f"{shown} is no address of the exchange; expected {example}")
    if parts.username is not None or parts.password is not None:
        raise ValueError("an address holds no user and no password: the key comes from the environment")
    return url


def _fault(url: str) -> str:
    """Reason why no connection could take ``url``, in words that repeat none of it; empty for none."""
    try:
        parts = urlsplit(url)
        (parts.hostname or "").encode("idna")  # refuses a name with an empty part, as every connection would
    except ValueError:
        return "its host is no name"
    try:
        return "its port is not 1 to 65535" if parts.port == 0 else ""
    except ValueError:
        return "its port is not 1 to 65535"
