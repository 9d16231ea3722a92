"""Signatures of requests and handshakes: who sends them, or why they are refused.

Signed     timestamp + METHOD + path without host and query. The timestamp is the client's wall clock in ms
           and may be ``MOST_SKEW_MS`` away from the server's, as FIX has it; REST does not say.
"""

import binascii
from base64 import b64decode
from collections.abc import Mapping
from typing import Final

from kalshi_platform.trading.simserver.clock import SimClock
from kalshi_platform.trading.simserver.keys import DemoKey

MOST_SKEW_MS: Final = 30_000
#: Digits of the largest time in ms that is read: Python refuses numbers of thousands of them.
_MOST_DIGITS: Final = 18
_KEY, _TIME, _SIGN = "KALSHI-ACCESS-KEY", "KALSHI-ACCESS-TIMESTAMP", "KALSHI-ACCESS-SIGNATURE"


class UnsignedRequest(Exception):  # noqa: N818 - an answer of the exchange
    """A request without a valid signature; the argument is the exchange's detail."""


class RequestAuth:
    """Keys of the account, and the requests that they sign."""

    def __init__(self, keys: Mapping[str, DemoKey], clock: SimClock) -> None:
        self.keys = keys
        self._clock = clock
        self.n_refused = 0

    def key_of(self, headers: Mapping[str, str], method: str, path: str) -> DemoKey:
        """Return the key that signed the request; raises Refusal."""
        try:
            return self._key_of(headers, method, path)
        except UnsignedRequest:
            self.n_refused += 1
            raise

    def _key_of(self, headers: Mapping[str, str], method: str, path: str) -> DemoKey:
        missing = [name for name in (_KEY, _TIME, _SIGN) if not headers.get(name)]
        if missing:
            raise UnsignedRequest(f"missing header {missing[0]}")
        key = self.keys.get(headers[_KEY])
        if key is None:
            raise UnsignedRequest("NOT_FOUND")
        stamp = headers[_TIME]
        if not stamp.isascii() or not stamp.isdigit() or len(stamp) > _MOST_DIGITS:
            raise UnsignedRequest("INVALID_PARAMETER")
        if abs(int(stamp) - self._clock.wall_ms()) > MOST_SKEW_MS:
            raise UnsignedRequest("header_timestamp_expired")
        try:
            signature = b64decode(headers[_SIGN], validate=True)
        except (binascii.Error, ValueError):
            raise UnsignedRequest("INCORRECT_API_KEY_SIGNATURE") from None
        if not key.has_signed(f"{stamp}{method}{path}", signature):
            raise UnsignedRequest("INCORRECT_API_KEY_SIGNATURE")
        return key
