"""How much one client may ask: a token bucket a key, in exact integers.

Units      time ns of a clock that does not go back; a request costs one token unless it says more.
Invariant  in any span of t seconds a key is granted at most ``burst + rate_per_s * t`` tokens, whatever else
           is asked by whomever; at most ``max_keys`` buckets are kept.
Not        who a client is (the key is given), nor waiting: the caller is told when to come again.
Threads    one: the event loop that serves.
"""

from collections import OrderedDict
from typing import Final

from pydantic import Field

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.units import NS_PER_SECOND

#: Stands for every key that found the table full of busy ones.
_SHARED: Final = None


class RateLimitConfig(Config):
    """What every key is granted."""

    rate_per_s: int = Field(200, gt=0, description="tokens a second")
    burst: int = Field(400, gt=0, description="tokens that an idle key has saved up")
    max_keys: int = Field(10_000, gt=0, description="buckets kept; further keys share one")


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
        """0 where ``cost`` tokens were granted; else none was, and the ns to wait until they would be.

        ContractError where ``cost`` is not in 1..burst: it could never be granted.
        """
        if not 1 <= cost <= self.config.burst:
            raise ContractError(
                f"cost {cost} of one request is outside 1..{self.config.burst} (burst): split the request"
            )
        now = now_ns * self.config.rate_per_s
        bucket = self._bucket(key, now)
        start = self._full_at.get(bucket, self._full_at.get(_SHARED, now))
        full_at = max(start, now) + cost * NS_PER_SECOND
        over = full_at - now - self.config.burst * NS_PER_SECOND
        if over > 0:
            return -(-over // self.config.rate_per_s)
        self._full_at[bucket] = full_at
        self._full_at.move_to_end(bucket)
        return 0

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
