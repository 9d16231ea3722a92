"""Lets clients in by their tokens, as often as the limits say, and no browsers; requests and streams alike.

Invariant  without a known token nobody is served where tokens are required. The gate refuses an unknown token
           everywhere, and counts attempts without a token against the address they come from. It keeps a
           token as its sha256 only and compares it in constant time with every known one; the first hex
           digits of the hash name a client, and logs may show no more of it.
Rates      a token bucket a client, in exact integers: in any span of t seconds a client is granted at most
           ``burst + rate_per_s * t`` requests; at most ``max_keys`` buckets are kept.
Units      time ns of a clock that does not go back.
Threads    one: the event loop that serves.
"""

import hashlib
import hmac
import os
import re
import time
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import Field, model_validator
from starlette.requests import HTTPConnection

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.serving.api.tokens import token_lines, tokens_in
from kalshi_platform.serving.server.problems import Problem

#: Shorter tokens can be guessed.
MIN_TOKEN_CHARS: Final = 16
#: Characters that a header carries as they are: others (of a mark that an editor put first) never match.
_SENT: Final = re.compile(r"[!-~]+")
#: Sentences for a caller that shows no token, by the kind of token that is needed.
_WANTED: Final = {
    "client": "a client token is needed: send the header Authorization: Bearer <token>",
    "admin": "an admin token is needed: send the header Authorization: Bearer <token>; the start of the "
    "service prints the file it lies in",
}
#: Stands for every key that found the table full of busy ones.
_SHARED: Final = None


class AccessArgs(Config):
    """Tokens that let a client or an administrator in, and the places where they are."""

    require_token: bool = Field(True, description="refuse whoever shows no client token")
    token_file: Path | None = Field(None, description="client tokens, one a line; # begins a comment")
    token_env: str | None = Field(None, description="environment variable with client tokens, one a line")
    admin_token_file: Path | None = Field(
        None, description="file with admin tokens (reload, rollback), one per line"
    )
    admin_token_env: str | None = Field(None, description="environment variable with such tokens")
    hosts: tuple[str, ...] = Field(
        (),
        description="names beside localhost and addresses by which a service without tokens may be asked",
    )

    @model_validator(mode="after")
    def _somebody_may_ask(self) -> "AccessArgs":
        if self.require_token and self.token_file is None and self.token_env is None:
            raise ValueError(
                "require_token is true and neither token_file nor token_env says where client tokens are; "
                "name one, or set require_token: false on a machine where only loopback is served"
            )
        return self


class RateLimitConfig(Config):
    """Tokens that every key is granted."""

    rate_per_s: int = Field(200, gt=0, description="tokens a second")
    burst: int = Field(400, gt=0, description="tokens that an idle key has saved up")
    max_keys: int = Field(10_000, gt=0, description="buckets kept; further keys share one")


class Gate:
    """Lets in callers that show a known token, as often as the limits say."""

    def __init__(self, access: AccessArgs, rates: RateLimitConfig) -> None:
        self._required = access.require_token
        self._clients = read_tokens(access.token_file, access.token_env)
        self._admins = read_tokens(access.admin_token_file, access.admin_token_env)
        require_apart(self._clients, self._admins)
        self._rates = RateLimiter(rates)

    def client(self, asked: HTTPConnection) -> str:
        """Name of the caller; Problem 401 without a known token, 429 where it asks too often."""
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
            raise Problem(
                403,
                "not-an-admin",
                "this token may ask for decisions but not change what is served: send an admin token",
            )
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
    """Raise Problem 403 where a page asks: without tokens, any page open on this machine could."""
    if "origin" in asked.headers:
        raise Problem(
            403,
            "browser",
            "requests of pages in browsers are refused: ask from a program, without the header Origin",
            "origin",
        )


def _unauthorized(wanted: str | None) -> Problem:
    detail = _WANTED[wanted] if wanted else (
        "this token is not known: send one of the service's token file (docs/serving.md, Tokens)"
    )  # fmt: skip
    return Problem(401, "unauthorized", detail, "authorization", {"WWW-Authenticate": "Bearer"})


def _address(asked: HTTPConnection) -> str:
    """Address of the peer; behind HAProxy all callers without a token have HAProxy's, and share one rate."""
    return asked.client.host if asked.client else "unknown"


class Tokens:
    """Known tokens, as hashes."""

    def __init__(self, hashes: tuple[bytes, ...]) -> None:
        self._hashes = hashes

    def __len__(self) -> int:
        return len(self._hashes)

    def shares_one_with(self, other: "Tokens") -> bool:
        """Return True where a token is known here and to ``other``."""
        return not set(self._hashes).isdisjoint(other._hashes)

    def owner(self, authorization: str | None) -> str | None:
        """Short name of the caller that shows ``Authorization: Bearer <token>``; None where it is unknown."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        shown = _hash(token.strip())
        known = False
        for each in self._hashes:  # every one, so that the time taken tells nothing
            known |= hmac.compare_digest(each, shown)
        return shown.hex()[:12] if known else None


def read_tokens(
    file: Path | None, variable: str | None, environment: Mapping[str, str] = os.environ
) -> Tokens:
    """Tokens of a file and of an environment variable; ContractError where a named place holds none."""
    lines: list[str] = []
    if file is not None:
        lines += _checked(tokens_in(file), f"token file {file}")
    if variable is not None:
        lines += _checked(token_lines(environment.get(variable, "")), f"environment variable {variable}")
    return Tokens(tuple(_hash(line) for line in dict.fromkeys(lines)))


def require_apart(clients: Tokens, admins: Tokens) -> None:
    """Raise ContractError where a token is a client's and an administrator's."""
    if clients.shares_one_with(admins):
        raise ContractError(
            "a token stands among the clients' and among the administrators': whoever may ask for decisions "
            "could change what is served; give each a token of its own (openssl rand -hex 32)"
        )


def _checked(lines: list[str], where: str) -> list[str]:
    if not lines:
        raise ContractError(
            f"{where} holds no token: write one a line, at least {MIN_TOKEN_CHARS} characters"
        )
    for number, line in enumerate(lines, 1):
        if len(line) < MIN_TOKEN_CHARS or not _SENT.fullmatch(line):
            raise ContractError(
                f"{where}: token {number} has {len(line)} characters, or one that no header carries; give "
                f"at least {MIN_TOKEN_CHARS} of plain ASCII without spaces: openssl rand -hex 32 makes one"
            )
    return lines


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


class RateLimiter:
    """Token buckets, kept as the time at which each is full again (GCRA, ITU-T I.371).

    Times are kept in units of 1 / ``rate_per_s`` ns, in which a token is 1e9 long: nothing is rounded.
    A bucket that is full again tells no more than one that is not there, so only such buckets are dropped;
    where all are busy, keys without one share a single bucket. A key that then gets one of its own starts
    with what the shared one has left, because it may have used it.
    """

    def __init__(self, config: RateLimitConfig | None = None) -> None:
        self.config = config or RateLimitConfig()
        self._full_at: OrderedDict[str | None, int] = OrderedDict()  # by the latest grant, oldest first

    def __len__(self) -> int:
        """Buckets kept, the shared one not counted."""
        return len(self._full_at) - (_SHARED in self._full_at)

    def take(self, key: str, now_ns: int, cost: int = 1) -> int:
        """Take ``cost`` tokens from the bucket of ``key``; returns 0, or the ns to wait where it took none.

        ContractError where ``cost`` is not in 1..burst: it could never be granted.
        """
        if not 1 <= cost <= self.config.burst:
            raise ContractError(
                f"cost {cost} of one request is outside 1..{self.config.burst} (burst): split the request"
            )
        now = now_ns * self.config.rate_per_s
        bucket, full_at = self._after(key, now, cost)
        over = full_at - now - self.config.burst * NS_PER_SECOND
        if over > 0:
            return -(-over // self.config.rate_per_s)
        self._put(bucket, full_at)
        return 0

    def look(self, key: str, now_ns: int) -> int:
        """Return what :meth:`take` of one token would, and take none."""
        _, full_at = self._after(key, now_ns * self.config.rate_per_s, 1)
        over = full_at - now_ns * self.config.rate_per_s - self.config.burst * NS_PER_SECOND
        return -(-over // self.config.rate_per_s) if over > 0 else 0

    def charge(self, key: str, now_ns: int, cost: int) -> None:
        """Take ``cost`` tokens, at most a burst, also where the bucket of ``key`` has fewer: it owes them."""
        bucket, full_at = self._after(key, now_ns * self.config.rate_per_s, min(cost, self.config.burst))
        self._put(bucket, full_at)

    def _after(self, key: str, now: int, cost: int) -> tuple[str | None, int]:
        """Bucket that pays ``cost`` for ``key``, and the time at which it is full again after that."""
        bucket = self._bucket(key, now)
        start = self._full_at.get(bucket, self._full_at.get(_SHARED, now))
        return bucket, max(start, now) + cost * NS_PER_SECOND

    def _put(self, bucket: str | None, full_at: int) -> None:
        self._full_at[bucket] = full_at
        self._full_at.move_to_end(bucket)

    def _bucket(self, key: str, now: int) -> str | None:
        """The key whose bucket pays: its own where it has one or there is room, else the shared one."""
        if key in self._full_at or len(self) < self.config.max_keys:
            return key
        oldest = next(k for k in self._full_at if k is not _SHARED)
        # The oldest grant is full again burst / rate seconds after it: busy keys hold a place no longer.
        if self._full_at[oldest] > now:
            return _SHARED
        del self._full_at[oldest]
        return key
