"""Addresses of the exchange: a bad one is refused where it is given, without its password."""

import pytest

from kalshi_platform.trading.exchange.addresses import checked_address


@pytest.mark.parametrize("url", ["ws://127.0.0.1:8000/x", "wss://external-api-ws.kalshi.com/trade-api/ws/v2"])
def test_an_address_with_scheme_and_host_is_taken(url):
    assert checked_address(url, ("ws", "wss")) == url


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/x", "wss:///x", "wss://host:0/x", "wss://host:99999/x", "wss://a..b/x", "wss://[::1/x",
        "wss://me:sesame@host/x", "wss://me:open/sesame@host/x", "redis://me:sesame@host/x", "w" * 10_000,
    ],
)  # fmt: skip
def test_another_is_refused_in_bounds_and_without_its_password(url):
    with pytest.raises(ValueError, match="address") as refused:
        checked_address(url, ("ws", "wss"))
    assert "sesame" not in str(refused.value)
    assert len(str(refused.value)) <= 500


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("wss://host:99999/x", "'wss://host:99999/x': its port is not 1 to 65535"),
        ("wss://host:0/x", "its port is not 1 to 65535"),
        ("wss://host:8o/x", "its port is not 1 to 65535"),
        ("wss://a..b/x", "its host is no name"),
        ("wss://[::1/x", "its host is no name"),
    ],
)
def test_a_refusal_says_what_is_wrong_with_an_address(url, why):
    with pytest.raises(ValueError, match=why):
        checked_address(url, ("ws", "wss"))
