"""Tokens come back with simulated time, to the last 1e-9 of one, and never beyond what the bucket holds."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.trading.simserver.rate_bucket import RateBucket

STEPS = st.lists(st.tuples(st.integers(-10, 3 * 10**9), st.integers(1, 200)), max_size=40)


@given(rate=st.integers(1, 500), holds_s=st.integers(1, 3), steps=STEPS)
def test_a_bucket_is_a_plain_count_of_tokens(rate, holds_s, steps):
    bucket, now = RateBucket(rate, holds_s, 0), 0
    left, at = Fraction(rate * holds_s), 0
    for passed, tokens in steps:
        now += passed  # a clock that goes back gives nothing
        left = min(Fraction(rate * holds_s), left + Fraction(max(now - at, 0) * rate, 10**9))
        at = max(at, now)
        assert bucket.has(tokens, now) == (left >= tokens)
        if left >= tokens:
            bucket.take(tokens)
            left -= tokens
