import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.serving.inference.caches import QUANTUM, CacheStats, TimedCache, quantise

steps = st.lists(
    st.tuples(st.booleans(), st.sampled_from([b"a", b"b", b"c", b"d"]), st.integers(0, 30)), max_size=60
)


@given(steps, st.integers(1, 3), st.integers(0, 40))
def test_nothing_is_ever_served_past_its_bound(moves, capacity, ttl_ns):
    cache: TimedCache[int] = TimedCache(capacity, ttl_ns)
    last_put: dict[bytes, int] = {}
    now_ns = 0
    for is_put, key, wait_ns in moves:
        now_ns += wait_ns
        if is_put:
            cache.put(key, now_ns, now_ns)
            last_put[key] = now_ns
            continue
        found = cache.get(key, now_ns)
        if found is not None:
            assert found == last_put[key]
            assert now_ns - found <= ttl_ns
        assert len(cache) <= capacity
    stats = cache.stats
    assert stats.hits + stats.misses + stats.expired == sum(not is_put for is_put, _, _ in moves)


def test_the_least_recently_used_leaves_first():
    cache: TimedCache[str] = TimedCache(2, 100)
    cache.put(b"a", "a", 0)
    cache.put(b"b", "b", 0)
    assert cache.get(b"a", 0) == "a"
    cache.put(b"c", "c", 0)
    assert cache.get(b"b", 0) is None
    assert cache.get(b"a", 0) == "a"
    assert cache.stats == CacheStats(hits=2, misses=1, expired=0, evicted=1)


def test_a_clock_that_ran_backwards_serves_nothing():
    cache: TimedCache[str] = TimedCache(2, 100)
    cache.put(b"a", "a", 50)
    assert cache.get(b"a", 49) is None


def test_impossible_sizes_are_refused():
    with pytest.raises(ContractError, match="0 values"):
        TimedCache(0, 1)


@pytest.mark.parametrize("kernel", [quantise, quantise.py_func], ids=["numba", "python"])
def test_quantised_values_are_the_nearest_whole_numbers(kernel):
    values = np.array([0, QUANTUM * 0.6, -1, 1, 3], np.float32)
    kernel(values, QUANTUM, out := np.empty(5, np.int16))
    assert out.tolist() == [0, 1, -16_384, 16_384, 32_767]


def test_the_quantum_tells_two_neighbouring_prices_apart():
    # yes_deviation = 2 mid - 1; the mid moves by half a tick of 1e-4 dollar: 1e-4, more than a quantum
    assert QUANTUM < 2 * 0.5e-4


@given(st.lists(st.sampled_from([b"a", b"b", b"c", b"d"]), max_size=12), st.integers(1, 3))
def test_many_kept_at_once_are_those_kept_one_after_the_other(keys, capacity):
    together: TimedCache[int] = TimedCache(capacity, 100)
    apart: TimedCache[int] = TimedCache(capacity, 100)
    together.put_many(keys, range(len(keys)), 0)
    for value, key in enumerate(keys):
        apart.put(key, value, 0)
    names = [b"a", b"b", b"c", b"d"]
    assert together.get_many(names, 0) == apart.get_many(names, 0)
