"""Token buckets of the exchange's rate limits: one for reads, one for the writes of each shard.

Units     tokens; a request costs 10 unless the exchange says otherwise. Buckets fill by ``tokens_per_s`` up
          to their capacity, without windows or penalties.
Defaults  of the tier Basic, until the account's own limits and costs are known: ``GET /account/limits``,
          ``GET /account/endpoint_costs``.
Writes    to shard 1 and above use that shard's own bucket, to shard 0 the unscoped one. A write that names no
          shard is billed to all of them, here as there.
Fair      whoever asks first gets tokens first.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.trading.exchange.account_answers import AccountLimits, BucketLimit, EndpointCosts
from kalshi_platform.trading.exchange.clock import ExchangeClock
from kalshi_platform.trading.exchange.fields import MOST_SHARD

#: Limits of the tier Basic: reads hold 3 s of budget, writes 1 s.
BASIC_READ: Final = BucketLimit(200, 600)
BASIC_WRITE: Final = BucketLimit(100, 100)
DEFAULT_COSTS: Final = EndpointCosts(
    10,
    {
        ("DELETE", "/portfolio/events/orders/{order_id}"): 2,
        ("DELETE", "/portfolio/events/orders"): 2,
    },
)
#: Prefix of paths that the exchange may or may not write before an endpoint.
API_PREFIX: Final = "/trade-api/v2"
#: Shards of the exchange at present (October 2026).
_SHARDS: Final = 4
#: Tokens that count as none missing: a wait for them would be shorter than a clock can tell.
_CRUMB: Final = 1e-6


def _none() -> str:
    """No hindrance."""
    return ""


class TokenBucket:
    """One bucket, full at the beginning."""

    def __init__(self, name: str, limit: BucketLimit, clock: ExchangeClock) -> None:
        self._name, self._clock = name, clock
        self._turn = asyncio.Lock()
        self._limit = limit
        self._tokens = float(limit.capacity)
        self._at_ns = clock.mono_ns()

    @property
    def tokens(self) -> float:
        """Tokens in it now."""
        self._fill()
        return self._tokens

    def set_limit(self, limit: BucketLimit) -> None:
        """Fill by ``limit`` from now on; a bucket that was fuller than its new capacity holds that."""
        self._fill()
        self._limit = limit
        self._tokens = min(self._tokens, float(limit.capacity))

    async def take(self, cost: int, hindrance: Callable[[], str] = _none) -> str:
        """Wait for ``cost`` tokens, and take them unless ``hindrance`` has words by then; return its words.

        ContractError where the bucket never holds so many.
        """
        if cost > self._limit.capacity:
            raise ContractError(
                f"a request of {cost} tokens; the {self._name} bucket holds {self._limit.capacity}: "
                "split the batch, or ask the exchange for a higher tier"
            )
        async with self._turn:
            while (missing := cost - self.tokens) > _CRUMB:
                await self._clock.sleep(missing / self._limit.tokens_per_s)
            words = hindrance()
            if not words:
                self._tokens -= cost
            return words

    def empty(self) -> None:
        """Take all tokens: the exchange said that there were none (429)."""
        self._fill()
        self._tokens = 0.0

    def _fill(self) -> None:
        """Add what came back since the last look."""
        now_ns = self._clock.mono_ns()
        came = (now_ns - self._at_ns) / NS_PER_SECOND * self._limit.tokens_per_s
        self._at_ns = now_ns
        self._tokens = min(float(self._limit.capacity), self._tokens + came)


class RateLimits:
    """All buckets of one account, and what each endpoint costs."""

    def __init__(self, clock: ExchangeClock) -> None:
        self._costs = DEFAULT_COSTS
        self._read = TokenBucket("read", BASIC_READ, clock)
        self._clock, self._write_limit = clock, BASIC_WRITE
        self._writes: dict[int, TokenBucket] = {}
        for shard in range(_SHARDS):
            self._write_of(shard)
        self.is_known = False  # True once the account's own limits were set

    def set_limits(self, limits: AccountLimits) -> None:
        """Hold the account's own limits from now on."""
        self._read.set_limit(limits.read)
        self._write_limit = limits.write
        for bucket in self._writes.values():
            bucket.set_limit(limits.write)
        self.is_known = True

    def set_costs(self, costs: EndpointCosts) -> None:
        """Hold the exchange's own costs from now on, for the endpoints under either form of their paths."""
        known = {
            (method, path.removeprefix(API_PREFIX)): cost for (method, path), cost in costs.costs.items()
        }
        self._costs = EndpointCosts(costs.default, known)

    def cost(self, method: str, endpoint: str) -> int:
        """Tokens of one request; ``endpoint`` with {names}, such as ``/markets/{ticker}``."""
        return self._costs.costs.get((method, endpoint), self._costs.default)

    async def take_read(self, cost: int) -> None:
        """Wait for ``cost`` tokens of the read bucket."""
        await self._read.take(cost)

    async def take_write(self, cost: int, shard: int | None, hindrance: Callable[[], str] = _none) -> str:
        """Wait for ``cost`` tokens of a shard's write bucket; of all of them where ``shard`` is None.

        Return the words that ``hindrance`` had against the write when its tokens of a bucket were there: it
        took none of that bucket then. It is asked last when nothing is waited for any more.
        """
        words = ""
        for bucket in self._of(shard):
            words = await bucket.take(cost, hindrance)
            if words:
                break
        return words

    def refused(self, shard: int | None, *, write: bool) -> None:
        """Note that the exchange answered 429: the bucket is emptier there than here."""
        for bucket in self._of(shard) if write else [self._read]:
            bucket.empty()

    def _of(self, shard: int | None) -> list[TokenBucket]:
        """Write buckets that a request to ``shard`` is billed to."""
        if shard is None:
            return list(self._writes.values())
        return [self._write_of(shard)]

    def _write_of(self, shard: int) -> TokenBucket:
        """Write bucket of ``shard``; the exchange may have more of them than are known here."""
        if not 0 <= shard <= MOST_SHARD:
            raise ContractError(f"exchange_index = {shard}; expected 0 to {MOST_SHARD}")
        if shard not in self._writes:
            self._writes[shard] = TokenBucket(f"write shard {shard}", self._write_limit, self._clock)
        return self._writes[shard]
