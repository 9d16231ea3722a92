"""Replay against a book and a matcher in plain Python: the same account, to the millionth of a dollar.

A thousand random recordings of one market (``made/random_streams.py``), traded at random in the ways that the
mask allows. The plain exchange (``made/plain_exchange.py``) shares no code with the kernels.
"""

from collections import Counter
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from made.market_rows import TENTHS
from made.plain_book import runs, views
from made.plain_exchange import Trader
from made.plain_orders import Facts, Style, Terms, in_pause
from made.random_streams import RandomStream
from made.replay_bank import Script

from kalshi_platform.data.features.kernel import build_rows
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.simulation.replay.assemble import build_bank
from kalshi_platform.simulation.replay.bank import UNSETTLED, BankMarket, MarketInfo

MS = 1_000_000
PROVENANCE = {"levels": "recorded", "quotes": "quotes", "prints": "trade_implied"}
#: Every price of whole cents, the tapered grid and tenths, strictly between nothing and a dollar.
PRICES = (
    tuple(range(100, 10_000, 100)),
    (*range(10, 1_000, 10), *range(1_000, 9_000, 100), *range(9_000, 10_000, 10)),
    tuple(range(10, 10_000, 10)),
)
MAKER_SHARE = {"quadratic": Fraction(0), "quadratic_with_maker_fees": Fraction(1, 4)}


def settings(rng: np.random.Generator) -> dict:
    order = int(rng.choice([1, 137, 1_000, 4_000]))
    return {
        "order_style": str(rng.choice(["maker", "maker", "taker"])),
        "latency_ms": int(rng.choice([0, 0, 1, 3, 50, 1_500, 20_000])),
        "feed_latency_ms": int(rng.choice([0, 0, 2, 400])),
        "latency_sigma": float(rng.choice([0, 0, 0.3, 1.2])),
        "order_ttl_ms": int(rng.choice([2, 900, 60_000, 600_000, 600_000])),
        "decision_interval_ms": int(rng.choice([0, 0, 0, 4, 1_000, 30_000])),
        "order_qty_e2": order,
        "position_limit_e2": order * int(rng.choice([1, 2, 50])),
        "max_slippage_e4": int(rng.choice([0, 100, 350])),
        "improve_ticks": int(rng.choice([0, 0, 1, 3])),
        "unknown_fill_e2": int(rng.choice([1, 100, 700])),
        "fee_scale_e6": int(rng.choice([0, 500_000, 1_000_000])),
        "direct_member": bool(rng.random() < 0.7),
        "hold": str(rng.choice(["keep", "keep", "cancel"])),
        "capital_e6": int(rng.choice([300_000, 4_010_000, 200_000_000, 200_000_000, 200_000_000])),
    }


def style_of(config: dict) -> Style:
    unit = Fraction(1, 10_000) if config["direct_member"] else Fraction(1, 100)
    return Style(
        maker=config["order_style"] == "maker",
        latency_ns=config["latency_ms"] * MS,
        feed_ns=config["feed_latency_ms"] * MS,
        sigma=config["latency_sigma"],
        ttl_ns=config["order_ttl_ms"] * MS,
        interval_ns=config["decision_interval_ms"] * MS,
        order_qty=config["order_qty_e2"],
        position_limit=config["position_limit_e2"],
        slippage=config["max_slippage_e4"],
        improve_ticks=config["improve_ticks"],
        unknown_fill=config["unknown_fill_e2"],
        fee_scale=Fraction(config["fee_scale_e6"], 1_000_000),
        unit=unit if config["fee_scale_e6"] else Fraction(1, 1_000_000),
        capital=Fraction(config["capital_e6"], 1_000_000),
        hold_cancels=config["hold"] == "cancel",
        tapers=config["sizing"] == "taper",
    )


def e6(dollars: Fraction) -> Fraction:
    return dollars * 1_000_000


def compare(script: Script, trader: Trader, note: str) -> None:
    env, slot = script.env, script.slot()
    found = (slot.position_e2, env.cash_e6, env.reserved_e6, slot.fees_e6, slot.n_fills, slot.order_state > 0)
    due = (trader.position, e6(trader.cash), e6(trader.reserved), e6(trader.fees), len(trader.fills))
    assert found == (*due, trader.working is not None), note
    assert env.equity_e6 == e6(trader.equity), note


class Played:
    """One random recording, played by both to its end."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng([seed, 10])
        known = str(rng.choice(["levels", "levels", "levels", "quotes", "prints"]))
        fine, config = bool(rng.random() < 0.3), settings(rng)
        config["sizing"] = ("full", "full", "taper")[seed % 3]
        stream = RandomStream(rng, known, fine)
        recorded = stream.write(int(rng.integers(15, 70)))
        spec = MarketSpec(
            ticker="M",
            event="E",
            price_ranges=TENTHS,
            fee_type=str(rng.choice(list(MAKER_SHARE))),
            fee_multiplier_e6=int(rng.choice([0, 500_000, 1_000_000])),
        )
        outcome = int(rng.choice([UNSETTLED, 0, 10_000, 3_300]))
        self.seen = views(recorded, stream.closes)
        true_close = rng.choice([None, stream.closes[-1], int(rng.choice(recorded.recv_ns))])
        self.traders: list[Trader] = []
        stretches = runs(self.seen)
        if not stretches:
            return
        told = stream.history(spec, true_close)
        rows = build_rows(recorded, spec, known=told.known)
        info = MarketInfo(spec, PROVENANCE[known], 0.01, told)
        bank = build_bank([BankMarket(info, rows, outcome)], ("spread",), (1,), (12,))
        assert bank.arrays.segments[["start", "stop"]].tolist() == stretches
        rate = Fraction(7, 100) * spec.fee_multiplier_e6 / 1_000_000
        terms = tuple(
            Terms(rate, rate * MAKER_SHARE[spec.fee_type], PRICES[grid], close)
            for close, grid in zip(stream.closes, stream.grids, strict=True)
        )
        for segment, (start, stop) in enumerate(stretches):
            settles = outcome != UNSETTLED and not any(v.tradable for v in self.seen[stop:])
            ends = [true_close, terms[self.seen[stop - 1].step].close_ns]
            ends += [v.recv_ns for v in self.seen[stop : stop + 1]]
            facts = Facts(
                terms=terms,
                end_ns=min((end for end in ends if end is not None), default=None),
                prints_only=known == "prints",
                best_only=known == "quotes",
                outcome=Fraction(outcome, 10_000) if settles else None,
            )
            trader = Trader(style_of(config), facts, self.seen[start:stop])
            self._play(Script(bank, (segment,), **config), trader, rng, f"stream {seed}, run {segment}")
            self.traders.append(trader)

    def _play(self, script: Script, trader: Trader, rng: np.random.Generator, note: str) -> None:
        done, steps = False, 0
        while not done:
            where = f"{note}, step {steps}"
            mask = trader.mask()
            assert script.mask() == mask, where
            allowed = np.flatnonzero(mask)
            patience = 0.75 if trader.working is not None else 0.2
            action = int(rng.choice(allowed)) if rng.random() > patience else 0
            if trader.working is not None and mask[trader.working.action] and rng.random() < 0.2:
                action = trader.working.action  # once more: it may keep the order
            ends = script.step(action)
            done, steps = trader.step(action), steps + 1
            assert any(ends) == done, where
            if not done:
                compare(script, trader, where)
        cash, fees = trader.closing()
        records = script.records()
        due = (e6(trader.cash + cash - trader.style.capital), e6(trader.fees + fees), len(trader.fills))
        found = records.pnl_e6[0], records.fees_e6[0], records.n_fills[0]
        assert found == due, note
        assert records.n_reached_fills[0] == sum(f.why == "reached" for f in trader.fills), note
        queues = len(trader.queued), *(sum(q[k] for q in trader.queued) for k in range(2))
        assert (records.n_queued[0], records.ahead_e2[0], records.passed_ahead_e2[0]) == queues, note


def played(seeds: range) -> Iterator[Played]:
    return (Played(seed) for seed in seeds)


@pytest.mark.parametrize("part", range(10))
def test_replay_keeps_the_account_of_an_exchange_in_plain_python(part: int) -> None:
    why: Counter[str] = Counter()
    for game in played(range(100 * part, 100 * part + 100)):
        why.update(f.why for trader in game.traders for f in trader.fills)
        for told in ("kept", "cancels", "cut"):
            why[told] += sum(getattr(trader, told) for trader in game.traders)
        why["queued"] += sum(ahead > 0 for trader in game.traders for ahead, _ in trader.queued)
        why["crossed"] += sum(v.crossed for v in game.seen)
        why["inside bursts"] += sum(not v.burst_ends for v in game.seen)
        why["runs"] += len(game.traders)
        why["in the weekly pause"] += sum(in_pause(v.recv_ns) for v in game.seen)
        why["facts told"] += game.seen[-1].step
        why["after the end"] += sum(t.ended(v.recv_ns) for t in game.traders for v in t.seen)
    assert min(why.values()) > 8, why
