"""Market specification: grids of every documented price structure, and settlement values."""

from math import gcd

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.market import WHOLE_CENTS, MarketSpec, PriceBand, settlement_value_e4


def bands(*edges_and_steps: tuple[int, int, int]) -> tuple[PriceBand, ...]:
    return tuple(PriceBand(start_e4=a, end_e4=b, step_e4=s) for a, b, s in edges_and_steps)


def tapered(edge_step: int, centre_step: int, edge_e4: int = 1_000) -> tuple[PriceBand, ...]:
    far = 10_000 - edge_e4
    return bands((0, edge_e4, edge_step), (edge_e4, far, centre_step), (far, 10_000, edge_step))


def spec(price_ranges: tuple[PriceBand, ...]) -> MarketSpec:
    return MarketSpec(ticker="KXTEST-1", event="KXTEST", price_ranges=price_ranges)


# docs/exchange.md, "Price grid": structure -> bands, step below 0.10 / between / above 0.90, ladder spacing
STRUCTURES = {
    "linear_cent": (WHOLE_CENTS, 100, 100, 100),
    "deci_cent": (bands((0, 10_000, 10)), 10, 10, 10),
    "tapered_deci_cent": (tapered(10, 100), 10, 100, 10),
    "center_whole_edge_half_cent": (tapered(50, 100), 50, 100, 50),
    "center_whole_edge_quint_cent": (tapered(20, 100), 20, 100, 20),
    "center_half_edge_half_cent": (tapered(50, 50), 50, 50, 50),
    "center_half_edge_quint_cent": (tapered(20, 50), 20, 50, 10),  # gcd(20, 50) = 10
    "center_half_edge_deci_cent": (tapered(10, 50), 10, 50, 10),
    "center_quint_edge_quint_cent": (tapered(20, 20), 20, 20, 20),
    "center_quint_edge_deci_cent": (tapered(10, 20), 10, 20, 10),
    "center_centi_edge_centi_cent": (bands((0, 10_000, 1)), 1, 1, 1),
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_structure_admits_exactly_its_own_prices(name):
    price_ranges, edge_step, centre_step, _ = STRUCTURES[name]
    market = spec(price_ranges)
    for price in range(10_001):
        step = edge_step if price < 1_000 or price > 9_000 else centre_step
        at_band_edge = price in (1_000, 9_000)  # valid in either band
        assert market.on_grid(price) == (price % step == 0 or at_band_edge), price


def test_combo_markets_have_fine_prices_within_a_cent_of_the_ends_only():
    market = spec(tapered(1, 10, edge_e4=100))  # center_deci_edge_centi_cent
    assert [p for p in (1, 99, 100, 101, 110, 5_005, 9_890, 9_895, 9_900, 9_901) if market.on_grid(p)] == [
        1, 99, 100, 110, 9_890, 9_900, 9_901,
    ]  # fmt: skip


@pytest.mark.parametrize("name", STRUCTURES)
def test_whole_cents_are_valid_in_every_structure(name):
    market = spec(STRUCTURES[name][0])
    assert all(market.on_grid(price) for price in range(0, 10_001, 100))


@pytest.mark.parametrize("name", STRUCTURES)
def test_every_price_of_the_grid_is_a_rung_of_the_ladder(name):
    price_ranges, _, _, tick = STRUCTURES[name]
    market = spec(price_ranges)
    assert market.tick_e4 == tick
    assert all(price % tick == 0 for price in range(10_001) if market.on_grid(price))


@given(st.integers(1, 9_998), st.integers(1, 500), st.integers(1, 500))
def test_the_ladder_reaches_the_prices_of_bands_with_odd_edges(edge_e4, low_step, high_step):
    market = spec(bands((0, edge_e4, low_step), (edge_e4, 10_000, high_step)))
    tick = market.tick_e4
    assert tick == gcd(10_000, edge_e4, low_step, high_step)
    assert all(p % tick == 0 for p in range(0, edge_e4 + 1, low_step))
    assert all(p % tick == 0 for p in range(edge_e4, 10_001, high_step))


@pytest.mark.parametrize("price", [-100, 10_100])
def test_a_price_outside_every_band_is_off_the_grid(price):
    assert not spec(WHOLE_CENTS).on_grid(price)


@pytest.mark.parametrize(
    ("band", "names"),
    [
        ({"start_e4": 500, "end_e4": 500, "step_e4": 100}, "500"),
        ({"start_e4": 0, "end_e4": 10_100, "step_e4": 100}, r"PriceBand\.end_e4 = 10100"),
        ({"start_e4": 0, "end_e4": 10_000, "step_e4": 0}, r"PriceBand\.step_e4 = 0"),
    ],
)
def test_an_impossible_band_is_refused_with_its_value(band, names):
    with pytest.raises(ContractError, match=names):
        PriceBand.parse(band)


def test_a_market_without_price_bands_is_refused():
    with pytest.raises(ContractError, match="price_ranges"):
        MarketSpec.parse({"ticker": "A", "event": "A", "price_ranges": ()})


@pytest.mark.parametrize("ticker", ["", "a b", "KX/..", "x" * 129])
def test_a_ticker_that_cannot_be_a_file_name_is_refused(ticker):
    with pytest.raises(ContractError, match=r"MarketSpec\.ticker"):
        MarketSpec.parse({"ticker": ticker, "event": "KXTEST"})


def test_a_ticker_may_contain_dots():
    assert MarketSpec(ticker="KXBTC-26APR18-T72999.99", event="KXBTC-26APR18").ticker.endswith("999.99")


@pytest.mark.parametrize(
    ("result", "value", "paid"),
    [("yes", None, 10_000), ("no", None, 0), ("", None, None), (None, None, None), ("scalar", 3_700, 3_700),
     ("yes", 10_000, 10_000), ("no", 0, 0), ("", 5_000, 5_000), (None, 0, 0),
     # contradictions: nobody knows the outcome
     ("yes", 0, None), ("no", 10_000, None), ("yes", 5_000, None), ("", 0, None)],
)  # fmt: skip
def test_settlement_pays_the_stated_value_or_else_the_result(result, value, paid):
    assert settlement_value_e4(result, value) == paid


def test_an_unknown_result_is_refused_and_named():
    with pytest.raises(DataError, match="scalar"):
        settlement_value_e4("scalar")
