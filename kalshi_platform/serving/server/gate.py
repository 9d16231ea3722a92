"""Who is let in: tokens, rates, no browsers. The same for requests and for streams.

Invariant  without a known token nobody is served where tokens are required; a token that is not known is
           refused everywhere; attempts without a token are counted against the address they come from.
"""

import time

from starlette.requests import HTTPConnection

from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.serving.server.access import read_tokens
from kalshi_platform.serving.server.args import PolicyAppArgs
from kalshi_platform.serving.server.problems import Problem
from kalshi_platform.serving.server.rate_limit import RateLimiter


class Gate:
    """Lets in who shows a token it knows, as often as the limits say."""

    def __init__(self, args: PolicyAppArgs) -> None:
        access = args.access
        self._required = access.require_token
        self._clients = read_tokens(access.token_file, access.token_env)
        self._admins = read_tokens(access.admin_token_file, access.admin_token_env)
        self._rates = RateLimiter(args.limits.rates)

    def client(self, asked: HTTPConnection) -> str:
        """Name of who asks; Problem 401 without a token that is known, 429 where it asks too often."""
        _refuse_browsers(asked)
        shown = asked.headers.get("authorization")
        owner = self._clients.owner(shown) or self._admins.owner(shown)
        if owner is None and (self._required or shown is not None):
            self._take(f"unknown {_address(asked)}")
            raise _unauthorized("client" if shown is None else None)
        name = owner or f"address {_address(asked)}"
        self._take(name)
        return name

    def admin(self, asked: HTTPConnection) -> str:
        """Name of an administrator; Problem 401 or 403."""
        _refuse_browsers(asked)
        shown = asked.headers.get("authorization")
        owner = self._admins.owner(shown)
        if owner is not None:
            self._take(owner)
            return owner
        self._take(f"unknown {_address(asked)}")
        if self._clients.owner(shown) is not None:
            raise Problem(403, "not-an-admin", "this token may ask for decisions, not change what is served")
        raise _unauthorized("admin" if shown is None else None)

    def _take(self, key: str) -> None:
        wait_ns = self._rates.take(key, time.monotonic_ns())
        if wait_ns:
            wait_s = -(-wait_ns // NS_PER_SECOND)
            raise Problem(
                429,
                "too-many-requests",
                f"more than {self._rates.config.rate_per_s} requests a second; ask again in {wait_s} s",
                headers={"Retry-After": str(wait_s)},
            )


def _refuse_browsers(asked: HTTPConnection) -> None:
    """Problem 403 where a page asks: without tokens, any page open on this machine could."""
    if "origin" in asked.headers:
        raise Problem(403, "browser", "pages in browsers are not served", "origin")


def _unauthorized(wanted: str | None) -> Problem:
    detail = (
        f"a {wanted} token is needed: Authorization: Bearer <token>" if wanted else "this token is not known"
    )
    return Problem(401, "unauthorized", detail, "authorization", {"WWW-Authenticate": "Bearer"})


def _address(asked: HTTPConnection) -> str:
    """Of the peer: behind HAProxy that is HAProxy, so everybody without a token shares one rate."""
    return asked.client.host if asked.client else "unknown"
