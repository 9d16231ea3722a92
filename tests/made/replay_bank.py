"""Banks written by hand or drawn at random, and one scripted environment, for tests of replay and envs."""

import numpy as np

from kalshi_platform.data.features.rows import LEVELS, Rows, empty
from kalshi_platform.data.market_data.schema import NO, NO_SIDE, YES
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.simulation.envs.config import EnvConfig, EpisodeConfig
from kalshi_platform.simulation.envs.curriculum import CurriculumConfig
from kalshi_platform.simulation.envs.episodes import (
    FixedEpisodes,
    RandomEpisodes,
    empty_table,
)
from kalshi_platform.simulation.envs.vector import ReplayVectorEnv
from kalshi_platform.simulation.replay.assemble import build_bank
from kalshi_platform.simulation.replay.bank import (
    UNSETTLED,
    Bank,
    BankMarket,
    MarketInfo,
    read_only,
)

T0_NS = 1_700_000_000 * NS_PER_SECOND
CAPITAL_E6 = 200_000_000


def book(t_s, bids=(), asks=(), trade=None, valid=1, burst_end=1):
    """One row: levels as (price_e4, qty_e2), best first; ``trade`` = (taker side, price_e4, qty_e2)."""
    return t_s, bids, asks, trade, valid, burst_end


def rows_of(*books) -> Rows:
    rows = empty(len(books), 2)
    rows.bid_px_e4[:] = rows.ask_px_e4[:] = rows.print_px_e4[:] = -1
    rows.print_side[:] = NO_SIDE
    for r, (t_s, bids, asks, trade, valid, burst_end) in enumerate(books):
        rows.recv_ns[r] = T0_NS + round(t_s * NS_PER_SECOND)
        rows.valid[r], rows.burst_end[r] = valid, burst_end
        for k, (price, qty) in enumerate(bids):
            rows.bid_px_e4[r, k], rows.bid_qty_e2[r, k] = price, qty
        for k, (price, qty) in enumerate(asks):
            rows.ask_px_e4[r, k], rows.ask_qty_e2[r, k] = price, qty
        if trade is not None:
            rows.print_side[r], rows.print_px_e4[r], rows.print_qty_e2[r] = trade
    rows.features[:, 0] = rows.bid_px_e4[:, 0] / 10_000
    rows.features[:, 1] = np.arange(len(books)) / 1_000 % 1
    return rows


def market(
    rows, ticker="M", event="E", settlement_e4=UNSETTLED, provenance="recorded", volatility=0.01, **spec
):
    info = MarketInfo(MarketSpec(ticker=ticker, event=event, **spec), provenance, volatility)
    return BankMarket(info, rows, settlement_e4)


def bank_of(*markets) -> Bank:
    return build_bank(markets, ("bid", "row"), (0, 1), (0,))


def schedule(bank, *segments, max_steps=None):
    """One episode over ``segments``, from their first rows, that begins with the earliest of them."""
    table = empty_table(1, len(segments))
    arrays = bank.arrays
    table.segment[0] = segments
    table.start[0] = arrays.segments["start"][list(segments)]
    table.begin_ns[0] = arrays.rows["recv_ns"][table.start[0]].min()
    if max_steps is not None:
        table.max_steps[0] = max_steps
    return table


class Script:
    """One environment over one episode, stepped by hand."""

    def __init__(self, bank, segments=(0,), max_steps=None, **config):
        table = schedule(bank, *segments, max_steps=max_steps)
        config.setdefault("latency_ms", 0)
        self.vector = ReplayVectorEnv(
            bank, FixedEpisodes(table), EnvConfig(n_slots=len(segments), **config), 1
        )
        self.flat, self.rows = self.vector.buffers()
        self.out = np.zeros(1, np.float32), np.zeros(1, bool), np.zeros(1, bool)
        self.vector.reset(self.flat, self.rows)
        self.rewards = []

    @property
    def env(self):
        return self.vector.envs[0]

    def slot(self, s=0):
        return self.vector.slots[0, s]

    def mask(self, s=0):
        return self.slot(s).mask.tolist()

    def step(self, *actions):
        """Step with one action a slot; (terminated, truncated)."""
        self.vector.step(np.array([actions], np.int8), self.flat, self.rows, *self.out)
        self.rewards.append(float(self.out[0][0]))
        return bool(self.out[1][0]), bool(self.out[2][0])

    def run(self, *actions):
        """One-slot actions one after the other."""
        for action in actions:
            ends = self.step(action)
        return ends

    def records(self):
        return self.vector.drain_episodes()


def random_rows(rng, n_rows, start_s=0.0, gap_share=0.0, known="levels") -> Rows:
    """Books that move, thin out, empty and trade at random; sizes down to 0.01 contract."""
    books, mid, t_s = [], int(rng.integers(20, 80)), start_s
    for _ in range(n_rows):
        t_s += float(rng.choice([0.0, 0.01, 1.0, 30.0]))
        mid = int(np.clip(mid + rng.integers(-3, 4), 2, 98))
        bids = [((mid - 1 - k) * 100, int(rng.integers(1, 2_000))) for k in range(min(mid - 1, LEVELS))]
        asks = [((mid + 1 + k) * 100, int(rng.integers(1, 2_000))) for k in range(min(99 - mid, LEVELS))]
        if known != "levels":
            bids, asks = [(p, -1) for p, _ in bids[:1]], [(p, -1) for p, _ in asks[:1]]
        bids = [] if rng.random() < 0.05 else bids
        asks = [] if rng.random() < 0.05 else asks
        side = int(rng.choice([YES, NO]))
        price = int(np.clip(mid + rng.integers(-2, 3), 1, 99)) * 100
        trade = (side, price, int(rng.integers(1, 3_000))) if rng.random() < 0.5 else None
        books.append(book(t_s, bids, asks, trade, int(rng.random() >= gap_share)))
    return rows_of(*books)


def random_bank(
    seed, n_events=3, per_event=2, n_rows=60, gap_share=0.0, provenance="recorded", **spec
) -> Bank:
    """Events one after the other, overlapping; all but every third market settle."""
    rng = np.random.default_rng([seed, n_events, per_event])
    known = {"quotes": "quotes", "trade_implied": "quotes"}.get(provenance, "levels")
    out = []
    for e in range(n_events):
        for k in range(per_event):
            rows = random_rows(rng, n_rows, 200.0 * e + 20.0 * k, gap_share, known)
            value = UNSETTLED if len(out) % 3 == 2 else int(rng.choice([0, 10_000]))
            close_ns = int(rows.recv_ns[-1]) + int(rng.integers(0, 300)) * NS_PER_SECOND
            out.append(
                market(
                    rows, f"M{e}-{k}", f"E{e}", value, provenance, 0.05 * (e + 1), close_ns=close_ns, **spec
                )
            )
    return bank_of(*out)


def random_actions(rng, mask):
    """(N, S) int8: one available action a slot, uniformly."""
    return (rng.random(mask.shape) * (mask > 0)).argmax(-1).astype(np.int8)


def play(env, steps, seed=0):
    """Random available actions; copies of everything written, step by step."""
    rng = np.random.default_rng([seed, steps])
    flat, rows = env.buffers()
    out = np.zeros(env.n_envs, np.float32), np.zeros(env.n_envs, bool), np.zeros(env.n_envs, bool)
    env.reset(flat, rows)
    seen = [(flat.copy(), rows.copy(), *(x.copy() for x in out))]
    for _ in range(steps):
        env.step(random_actions(rng, env.layout.action_mask(flat)), flat, rows, *out)
        seen.append((flat.copy(), rows.copy(), *(x.copy() for x in out)))
    return tuple(np.stack(column) for column in zip(*seen, strict=True))


def training_env(bank, n_envs=4, seed=0, mode="concurrent", min_steps=10, max_steps=40, **config):
    config.setdefault("n_slots", 3)
    episodes = EpisodeConfig(mode=mode, min_steps=min_steps, max_steps=max_steps)
    source = RandomEpisodes(bank, episodes, CurriculumConfig(), seed)
    return ReplayVectorEnv(bank, source, EnvConfig(**config), n_envs)


DEEP = 100_000


BID, ASK = ((4_000, DEEP),), ((5_000, DEEP),)


def quiet(n=3, start_s=0.0, step_s=10.0, bids=BID, asks=ASK):
    return rows_of(*[book(start_s + step_s * k, bids, asks) for k in range(n)])


def changed(bank: Bank, **arrays) -> Bank:
    """The bank with other arrays; write-protected like any, so that kernels are not compiled again."""
    return Bank(read_only(bank.arrays._replace(**arrays)), bank.markets, bank.feature_names)


def same(one, two):
    return all((a == b).all() for a, b in zip(one, two, strict=True))
