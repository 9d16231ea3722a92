"""Small banks whose every price is known, for the tests of evaluation."""

from dataclasses import replace

import numpy as np

from kalshi_platform.data.features.rows import Rows, empty
from kalshi_platform.domain.fee_schedule import BEGINNING_NS, FeeStep, FeeTerms
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.domain.market_history import constant_history
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.simulation.replay.assemble import build_bank
from kalshi_platform.simulation.replay.bank import UNSETTLED, Bank, BankMarket, MarketInfo

START_NS = 1_700_000_000 * NS_PER_SECOND
DEEP = 1_000_000


def rows_of(mids_e4, half_spread_e4=100, start_ns=START_NS, step_ns=NS_PER_SECOND) -> Rows:
    """One row a mid; one deep level a side; feature 0 is the mid, feature 1 the next mid (a leak)."""
    mids = np.asarray(mids_e4, np.int64)
    rows = empty(mids.size, 2)
    rows.recv_ns[:] = start_ns + np.arange(mids.size) * step_ns
    rows.valid[:] = 1
    rows.bid_px_e4[:] = rows.ask_px_e4[:] = rows.print_px_e4[:] = -1
    rows.bid_px_e4[:, 0], rows.ask_px_e4[:, 0] = mids - half_spread_e4, mids + half_spread_e4
    rows.bid_qty_e2[:, 0] = rows.ask_qty_e2[:, 0] = DEEP
    rows.features[:, 0] = mids / 10_000
    rows.features[:, 1] = np.append(mids[1:], mids[-1]) / 10_000
    return rows


def market(ticker, event, mids_e4, settlement_e4=UNSETTLED, provenance="simulated", **shape) -> BankMarket:
    rows = rows_of(mids_e4, **shape)
    spec = MarketSpec(ticker=ticker, event=event, category="Weather", close_ns=int(rows.recv_ns[-1]))
    return BankMarket(MarketInfo(spec, provenance, 0.01), rows, settlement_e4)


def gapped(market: BankMarket, *at: int) -> BankMarket:
    """``market`` with a gap at each row ``at``: its life falls into segments."""
    valid = market.rows.valid.copy()
    valid[list(at)] = 0
    return replace(market, rows=market.rows._replace(valid=valid))


def in_block(market: BankMarket, block: str) -> BankMarket:
    """``market`` as part of ``block``."""
    return replace(market, info=replace(market.info, block_name=block))


def dated(market: BankMarket, multiplier_e6: int, source="known", rounding="micro") -> BankMarket:
    """``market`` that pays ``multiplier_e6`` while its rows last, and quadratic times 1 after them."""
    spec, end_ns = market.info.specification, int(market.rows.recv_ns[-1]) + 1
    own = FeeTerms(fee_multiplier_e6=multiplier_e6, source=source, rounding=rounding)
    fees = (FeeStep(from_ns=BEGINNING_NS, terms=own), FeeStep(from_ns=end_ns, terms=FeeTerms()))
    told = constant_history(spec).replace(fees=fees)
    return replace(market, info=replace(market.info, told=told))


def bank_of(*markets: BankMarket) -> Bank:
    return build_bank(markets, ("mid", "next_mid"), (0, 1), (0, 1))


def random_bank(n_events=6, per_event=2, n_rows=120, seed=0) -> Bank:
    """Bounded random walks in cents; events follow one another, each settles at its last side."""
    rng = np.random.default_rng([seed, n_events])
    out = []
    for e in range(n_events):
        for k in range(per_event):
            mids = np.clip(50 + np.cumsum(rng.integers(-2, 3, n_rows)), 5, 95) * 100
            settled = 10_000 if mids[-1] > 5_000 else 0
            start = START_NS + e * 3 * n_rows * NS_PER_SECOND
            out.append(market(f"M{e}-{k}", f"E{e}", mids, settled, start_ns=start))
    return bank_of(*out)
