"""Quotes against numbers worked by hand, and against Bayes' rule over all traders one by one."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.simulation.simexchange.oracles.glosten_milgrom import ask_of, bid_of, quotes


@pytest.mark.parametrize(
    ("p", "m", "bid", "ask"),
    [
        # p = 1/2, m = 1/5: bought with 3/5 where V = 1, 2/5 where V = 0, so ask 3/5; mirrored bid 2/5
        ("1/2", "1/5", "2/5", "3/5"),
        # p = 7/10: ask (7/10 6/10) / (42/100 + 3/10 4/10) = 42/54; bid (7/10 4/10) / (28/100 + 18/100)
        ("7/10", "1/5", "28/46", "42/54"),
        # p = 9/10, m = 1/10: ask (9 x 55) / (9 x 55 + 1 x 45) = 495/540; bid (9 x 45) / (405 + 55)
        ("9/10", "1/10", "405/460", "495/540"),
        # p = 1/20, m = 1/5: ask (1 x 6) / (6 + 19 x 4) = 6/82; bid (1 x 4) / (4 + 19 x 6)
        ("1/20", "1/5", "4/118", "6/82"),
        ("1/3", "0", "1/3", "1/3"),  # nobody is informed: no spread
    ],
)
def test_quotes_match_fractions_worked_by_hand(p, m, bid, ask):
    found = quotes(float(Fraction(p)), float(Fraction(m)))
    assert found.bid == pytest.approx(float(Fraction(bid)), abs=1e-12)
    assert found.ask == pytest.approx(float(Fraction(ask)), abs=1e-12)


def test_quotes_match_the_audits_figures():
    # ../shared/audits/evidence.md 2.4, six decimals
    for p, m, bid, ask in [(0.7, 0.2, 0.608696, 0.777778), (0.9, 0.1, 0.880435, 0.916667)]:
        assert quotes(p, m) == pytest.approx((bid, ask), abs=5e-7)
    assert quotes(0.05, 0.2) == pytest.approx((0.033898, 0.073171), abs=5e-7)


SHARES = st.fractions(0, Fraction(99, 100), max_denominator=1_000)
CHANCES = st.fractions(Fraction(1, 1_000), Fraction(999, 1_000), max_denominator=1_000)


def bayes(p: Fraction, m: Fraction, bought: bool) -> tuple[Fraction, Fraction]:
    """(P(trade on that side), P(V = 1 | it)) by listing every kind of trader."""
    kinds = [(p * m, 1, True), ((1 - p) * m, 0, False)]
    for v, chance in ((1, p), (0, 1 - p)):
        kinds += [(chance * (1 - m) / 2, v, True), (chance * (1 - m) / 2, v, False)]
    side = [(weight, v) for weight, v, buys in kinds if buys == bought]
    total = sum(weight for weight, _ in side)
    return total, sum(weight * v for weight, v in side) / total


@given(p=CHANCES, m=SHARES)
def test_quotes_are_bayes_posteriors_and_prices_a_martingale(p, m):
    found = quotes(float(p), float(m))
    (bought, ask), (sold, bid) = bayes(p, m, True), bayes(p, m, False)
    assert found.ask == pytest.approx(float(ask), abs=1e-9)
    assert found.bid == pytest.approx(float(bid), abs=1e-9)
    assert bought * ask + sold * bid == p
    assert float(bought) * found.ask + float(sold) * found.bid == pytest.approx(float(p), abs=1e-9)
    assert found.bid <= float(p) + 1e-12
    assert found.ask >= float(p) - 1e-12


@pytest.mark.parametrize(("kernel", "price"), [(ask_of, 0.6), (bid_of, 0.4)])
def test_the_plain_form_gives_the_same(kernel, price):
    assert kernel.py_func(0.5, 0.2) == pytest.approx(price, abs=1e-12)


@pytest.mark.parametrize("p", [0.0, 1.0, -0.1, float("nan")])
def test_a_price_outside_the_unit_interval_is_refused(p):
    with pytest.raises(ContractError, match=r"outside \(0, 1\)"):
        quotes(p, 0.2)


@pytest.mark.parametrize("m", [-0.1, 1.0, 2.0, float("nan")])
def test_an_impossible_informed_share_is_refused(m):
    with pytest.raises(ContractError, match=r"outside \[0, 1\)"):
        quotes(0.5, m)
