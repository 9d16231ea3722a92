"""Tokens known by their hashes, and token buckets: exact, bounded, nobody gets more under many names."""

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.serving.server.gate import RateLimitConfig, RateLimiter, read_tokens

S = 1_000_000_000
TOKEN = "a-token-of-the-tests"


def limiter(rate_per_s=2, burst=3, max_keys=100):
    return RateLimiter(RateLimitConfig(rate_per_s=rate_per_s, burst=burst, max_keys=max_keys))


def test_an_idle_key_has_its_burst_and_is_then_told_when_to_come_again():
    buckets = limiter()
    assert [buckets.take("a", 10 * S) for _ in range(4)] == [0, 0, 0, S // 2]
    # 0.4 s later 0.8 of a token is there: 0.2 are missing, at two a second 0.1 s
    assert buckets.take("a", 10 * S + 400_000_000) == 100_000_000
    assert buckets.take("a", 10 * S + 499_999_999) == 1
    assert buckets.take("a", 10 * S + 500_000_000) == 0


def test_a_rate_that_does_not_divide_a_second_is_exact():
    # three tokens a second: one lasts 333_333_333 1/3 ns; three are there after 1 s, not a ns earlier
    buckets = limiter(rate_per_s=3, burst=3)
    assert buckets.take("a", 0, cost=3) == 0
    assert buckets.take("a", 0) == 333_333_334
    assert buckets.take("a", S - 1, cost=3) == 1
    assert buckets.take("a", S, cost=3) == 0


def test_a_key_that_was_charged_more_than_it_had_waits_until_its_debt_is_paid():
    rates = RateLimiter(RateLimitConfig(rate_per_s=10, burst=5))
    rates.charge("a", 0, 4)
    rates.charge("a", 0, 10**9)  # counts as a burst
    assert rates.take("a", 0) == 500_000_000
    assert rates.take("b", 0) == 0
    assert rates.take("a", 500_000_000) == 0


def test_keys_do_not_pay_for_each_other():
    buckets = limiter(burst=1)
    assert buckets.take("a", 0) == 0
    assert buckets.take("b", 0) == 0
    assert buckets.take("a", 0) > 0


@pytest.mark.parametrize("cost", [0, -1, 4])
def test_a_cost_that_can_never_be_granted_is_refused_by_its_range(cost):
    with pytest.raises(ContractError, match=rf"cost {cost} .* 1..3"):
        limiter().take("a", 0, cost)


def test_a_full_table_drops_only_buckets_that_are_full_again():
    buckets = limiter(rate_per_s=1, burst=1, max_keys=2)
    assert (buckets.take("a", 0), buckets.take("b", S // 2)) == (0, 0)
    assert buckets.take("c", S - 1) == 0  # shares: a is busy for another ns
    assert buckets.take("d", S - 1) == S  # shares with c
    assert buckets.take("a", S - 1) == 1  # still its own
    assert (
        buckets.take("e", S) == S - 1
    )  # a is full again, e takes its place with what the shared one has left
    assert buckets.take("e", 2 * S - 1) == 0
    assert len(buckets) == 2
    assert buckets.take("e", 2 * S - 1) == S


asks = st.lists(
    st.tuples(st.sampled_from("abcde"), st.integers(0, 2 * S), st.integers(1, 3)), min_size=1, max_size=60
)


@given(asks=asks, rate=st.integers(1, 7), max_keys=st.integers(1, 6))
def test_in_any_span_a_key_is_granted_at_most_burst_plus_rate_times_span(asks, rate, max_keys):
    buckets, now, granted = limiter(rate, 3, max_keys), 0, []
    for key, gap_ns, cost in asks:
        now += gap_ns
        if not buckets.take(key, now, cost):
            granted.append((key, now, cost))
        assert len(buckets) <= max_keys
    for i, (key, start, _) in enumerate(granted):
        total = 0
        for other, end, cost in granted[i:]:
            total += cost if other == key else 0
            assert total <= 3 + Fraction(rate * (end - start), S)


@given(asks=asks, rate=st.integers(1, 7))
def test_whoever_comes_again_when_told_is_granted_and_a_ns_earlier_is_not(asks, rate):
    buckets, now = limiter(rate), 0
    for key, gap_ns, cost in asks:
        now += gap_ns
        if wait_ns := buckets.take(key, now, cost):
            assert buckets.take(key, now + wait_ns - 1, cost) > 0
            now += wait_ns
            assert buckets.take(key, now, cost) == 0


def test_tokens_of_a_file_and_a_variable_are_all_known(tmp_path: Path):
    (tmp_path / "tokens").write_text(f"# comment\n\n{TOKEN}\n")
    tokens = read_tokens(tmp_path / "tokens", "T", {"T": "another-token-of-these\n"})
    assert len(tokens) == 2
    first, second = tokens.owner(f"Bearer {TOKEN}"), tokens.owner("Bearer another-token-of-these")
    assert None not in (first, second)
    assert first != second
    assert tokens.owner(f"bearer  {TOKEN} ") == first


@pytest.mark.parametrize(
    "shown", [None, "", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer", "Bearer é"]
)
def test_anything_else_is_nobody(tmp_path: Path, shown: str | None):
    (tmp_path / "tokens").write_text(TOKEN)
    assert read_tokens(tmp_path / "tokens", None).owner(shown) is None


def test_tokens_are_kept_as_hashes_only(tmp_path: Path):
    (tmp_path / "tokens").write_text(TOKEN)
    tokens = read_tokens(tmp_path / "tokens", None)
    assert TOKEN not in repr(vars(tokens))
    assert TOKEN not in str(tokens.owner(f"Bearer {TOKEN}"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no token"),
        ("# only a comment\n", "holds no token"),
        ("short", "5 characters"),
        ("with a space in it", "space"),
    ],
)
def test_a_token_file_that_guards_nothing_is_refused(tmp_path: Path, text: str, words: str):
    (tmp_path / "tokens").write_text(text)
    with pytest.raises(ContractError, match=words) as refusal:
        read_tokens(tmp_path / "tokens", None)
    assert "short" not in str(refusal.value), "a refusal does not show what it refuses"


def test_places_without_tokens_are_refused_by_name(tmp_path: Path):
    with pytest.raises(ContractError, match="nowhere"):
        read_tokens(tmp_path / "nowhere", None)
    with pytest.raises(ContractError, match="variable KALSHI_T"):
        read_tokens(None, "KALSHI_T", {})
