"""Rate limits: token buckets in simulated time, one to read and one to write on each shard.

Cost       ``DEFAULT_COST`` tokens a request; ``COSTS`` has the others. A write that names a shard pays from
           that shard's bucket, one that names none pays from all; batches pay from shard 0's.
"""

from typing import Any, Final, NamedTuple

from kalshi_platform.trading.simserver.clock import SimClock
from kalshi_platform.trading.simserver.config import N_SHARDS, Tier
from kalshi_platform.trading.simserver.rate_bucket import RateBucket
from kalshi_platform.trading.simserver.rest.answers import ApiError

DEFAULT_COST: Final = 10
_ORDERS: Final = "/portfolio/events/orders"
#: (method, path) -> tokens, where they are not the default.
COSTS: Final = {("DELETE", f"{_ORDERS}/{{order_id}}"): 2, ("DELETE", _ORDERS): 2}


class TierRates(NamedTuple):
    """Tokens a second of a tier, and the seconds that its buckets hold."""

    read: int
    write: int
    read_holds_s: int
    write_holds_s: int


TIERS: Final[dict[Tier, TierRates]] = {
    "basic": TierRates(200, 100, 3, 1),
    "advanced": TierRates(300, 300, 3, 3),
    "expert": TierRates(600, 600, 1, 3),
    "premier": TierRates(1_200, 1_200, 1, 3),
    "paragon": TierRates(2_400, 2_400, 1, 3),
    "prime": TierRates(4_800, 4_800, 1, 3),
    "prestige": TierRates(12_000, 9_600, 1, 3),
}


class LimitsOfAccount:
    """Buckets of the account."""

    def __init__(self, tier: Tier, clock: SimClock) -> None:
        self.tier, self._clock = tier, clock
        rates = TIERS[tier]
        self._read = RateBucket(rates.read, rates.read_holds_s, clock.now_ns)
        self._write = [RateBucket(rates.write, rates.write_holds_s, clock.now_ns) for _ in range(N_SHARDS)]
        self.n_refused = 0

    @property
    def most_in_batch(self) -> int:
        """Orders that one batch may have: what a full bucket pays at once."""
        return self._write[0].capacity // DEFAULT_COST

    def read(self, tokens: int = DEFAULT_COST) -> None:
        """Pay for a read; ApiError 429 where the bucket has too little."""
        self._pay([self._read], tokens)

    def write(self, shard: int | None, tokens: int = DEFAULT_COST) -> None:
        """Pay for a write on a shard; None = routed by the exchange, paid from every bucket."""
        self._pay(self._write if shard is None else [self._write[shard]], tokens)

    def _pay(self, buckets: list[RateBucket], tokens: int) -> None:
        now = self._clock.now_ns
        if not all(bucket.has(tokens, now) for bucket in buckets):
            self.n_refused += 1
            raise ApiError(429, "too_many_requests")
        for bucket in buckets:
            bucket.take(tokens)

    def body(self) -> dict[str, Any]:
        """Answer of ``GET /account/limits``."""
        both = {"read": self._read, "write": self._write[0]}
        limits = {
            name: {"refill_rate": bucket.rate, "bucket_capacity": bucket.capacity}
            for name, bucket in both.items()
        }
        return {"usage_tier": self.tier, **limits, "grants": []}


def costs_body() -> dict[str, Any]:
    """Answer of ``GET /account/endpoint_costs``."""
    listed = [
        {"method": method, "path": f"/trade-api/v2{path}", "cost": cost}
        for (method, path), cost in COSTS.items()
    ]
    return {"default_cost": DEFAULT_COST, "endpoint_costs": listed}
