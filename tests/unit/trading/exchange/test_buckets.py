import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made.exchange import HeldClock, run

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.trading.exchange.account_answers import AccountLimits, BucketLimit, EndpointCosts
from kalshi_platform.trading.exchange.buckets import RateLimits, TokenBucket


def test_a_bucket_gives_its_capacity_at_once_and_then_its_rate():
    clock = HeldClock()
    bucket = TokenBucket("write", BucketLimit(100, 100), clock)

    async def work():
        for _ in range(10):
            await bucket.take(10)
        assert clock.slept == []
        for _ in range(5):
            await bucket.take(10)

    run(work())
    assert clock.now_ns == pytest.approx(0.5e9)  # 50 tokens at 100 a second


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 10**9)), min_size=1, max_size=30))
def test_no_stretch_of_time_gives_more_than_capacity_and_rate(asks):
    clock = HeldClock()
    bucket = TokenBucket("read", BucketLimit(100, 60), clock)
    taken = []

    async def work():
        for cost, pause_ns in asks:
            clock.now_ns += pause_ns
            await bucket.take(cost)
            taken.append((clock.now_ns, cost))

    run(work())
    for i, (begin_ns, _) in enumerate(taken):
        total = 0
        for now_ns, cost in taken[i:]:
            total += cost
            assert total <= 60 + (now_ns - begin_ns) / 1e9 * 100 + 1e-3


def test_a_request_that_no_bucket_can_hold_is_refused_with_advice():
    bucket = TokenBucket("write", BucketLimit(100, 100), HeldClock())
    with pytest.raises(ContractError, match="102 tokens; the write bucket holds 100: split the batch"):
        run(bucket.take(102))


def test_whoever_asks_first_is_served_first():
    bucket, order = TokenBucket("write", BucketLimit(100, 100), HeldClock()), []

    async def ask(name, cost):
        await bucket.take(cost)
        order.append(name)

    async def work():
        await asyncio.gather(ask("a", 100), ask("b", 100), ask("c", 1))

    run(work())
    assert order == ["a", "b", "c"]


def test_limits_and_costs_that_the_exchange_tells_hold_from_then_on():
    clock = HeldClock()
    limits = RateLimits(clock)
    assert limits.cost("DELETE", "/portfolio/events/orders/{order_id}") == 2
    assert limits.cost("GET", "/markets") == 10
    limits.set_costs(EndpointCosts(7, {("GET", "/trade-api/v2/markets/orderbooks"): 30}))
    assert limits.cost("GET", "/markets/orderbooks") == 30
    assert limits.cost("DELETE", "/portfolio/events/orders/{order_id}") == 7
    limits.set_limits(AccountLimits("expert", BucketLimit(600, 600), BucketLimit(600, 1_800), {}))
    run(limits.take_write(1_800, 2))
    assert clock.slept  # full at 100 of the tier Basic, the rest had to come
    assert limits.is_known


def test_a_write_to_one_shard_leaves_the_others_and_one_without_a_shard_is_billed_to_all():
    clock = HeldClock()
    limits = RateLimits(clock)

    async def work():
        await limits.take_write(100, 1)
        await limits.take_write(100, 2)
        assert clock.slept == []
        await limits.take_write(100, None)

    run(work())
    assert clock.now_ns == pytest.approx(1e9)


def test_a_shard_that_nobody_knew_of_has_a_bucket_too_and_one_that_cannot_be_is_refused():
    clock = HeldClock()
    limits = RateLimits(clock)
    limits.set_limits(AccountLimits("expert", BucketLimit(600, 600), BucketLimit(600, 1_800), {}))
    run(limits.take_write(1_800, 9))
    assert clock.slept == []
    with pytest.raises(ContractError, match="exchange_index = 64; expected 0 to 63"):
        run(limits.take_write(1, 64))


def test_a_write_that_may_not_leave_takes_no_tokens_and_holds_nobody_up():
    clock = HeldClock()
    limits = RateLimits(clock)

    async def work() -> list[str]:
        await limits.take_write(100, 0)  # what follows waits
        orders = [limits.take_write(10, 0, lambda: "halted") for _ in range(60)]
        return await asyncio.gather(*orders, limits.take_write(2, 0))

    assert run(work()) == ["halted"] * 60 + [""]
    assert clock.now_ns == pytest.approx(0.1e9)  # of one order: the first that waited for tokens
