"""A dataset of a recording replays, bit for bit, what a live session computed while it was recorded.

One run over real sockets: events open, close, are determined and paid; a frame is lost, connections break, a
close moves, a grid gets finer, fees change. The session is fed each frame as the recorder took it and each
answer of REST as the recorder kept it, and knows nothing that comes later.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest
from made.live_capture import ALL_GROUPS, assert_same, replayed
from made.live_recording import WINDOW, LiveRow, LiveSession, Scene, record_served

from kalshi_platform.data.dataset.blocks import PARTS
from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.data.dataset.split import SplitConfig
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.data.features.rows import CROSSED
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.replay.bank import ROW_CROSSED, Bank
from kalshi_platform.simulation.replay.open import open_bank
from kalshi_platform.trading.recorder.status import read_state

#: All events but one judge. The one that teaches may not know the outcomes of those (dataset/teaching.py),
#: which a live session knows: its columns of outcomes are left out.
SPLIT = SplitConfig(train=1, validation=10_000, test=10_000)
CONFIG = EnvConfig(n_slots=1, groups=ALL_GROUPS, decision_interval_ms=0)
SERVED = {
    "speed": 60, "n_events": 4, "seed": 3, "determine_s": 3, "settle_s": 4, "lead_s": 1,
    "start_ns": 1_793_620_800 * 10**9,  # 2026-11-02 12:00 UTC
    "world": {"min_duration_s": 600, "max_duration_s": 600, "category_shares": [0.9, 0.1, 0.0, 0.0]},
}  # fmt: skip


#: Frames of a recording whose rows and observations are enough to compare.
FRAMES = 10_000


class Recorded(NamedTuple):
    session: LiveSession
    dataset: Dataset
    banks: list[Bank]
    kinds: dict[str, int]
    certified: dict[str, float]


async def eventful(scene: Scene) -> None:
    """Plant every kind of trouble, each after something was recorded, until five outcomes are known."""
    recorder, kinds = scene.recorder, scene.recorder.follower.kinds
    frames = recorder.journal.counts
    await scene.until(lambda: frames.frames > 500)
    await scene.plant("drop_frame", channel="orderbook_delta")
    await scene.until(lambda: kinds["gap"] >= 1)
    await scene.plant("tick_change")
    await scene.plant("fee_change")
    await scene.until(lambda: len(recorder.directory.outcomes) >= 2)
    await scene.plant("disconnect")
    await scene.until(lambda: kinds["disconnected"] >= 1 and kinds["connected"] >= 2)
    begun = frames.frames
    await scene.until(lambda: frames.frames > begun + 500)
    await scene.plant("early_close", seconds=60)
    await scene.plant("market_pause", seconds=20)
    await scene.until(lambda: len(recorder.directory.outcomes) >= 12)
    await scene.until(lambda: frames.frames > FRAMES)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Recorded:
    folder = tmp_path_factory.mktemp("equal")
    session = LiveSession(CONFIG)
    kinds = record_served(folder / "recording", eventful, session, **SERVED)
    build_dataset([folder / "recording"], str(folder / "data"), BuildConfig(workers=0, split=SPLIT))
    dataset = Dataset.open(str(folder / "data"))
    banks = [open_bank(dataset.uri, part, ALL_GROUPS) for part in PARTS if dataset.entries(part)]
    state = read_state(folder / "recording")
    return Recorded(session, dataset, banks, dict(kinds), {m.ticker: m.share for m in state.markets})


def test_the_run_held_everything_that_it_claims_to_hold(recorded):
    session, dataset = recorded.session, recorded.dataset
    assert session.refused == []
    assert recorded.kinds["gap"] >= 1
    assert recorded.kinds["connected"] >= 2
    assert set(recorded.certified) <= set(session.rows)  # every certified market is in the comparison
    assert {e.ticker for e in dataset.entries("all")} == set(recorded.certified)
    assert len(dataset.manifest.events("train")) == 1
    grids = {len({k.price_ranges for k in h.known}) for h in dataset.histories().values()}
    closes = {len({k.close_ns for k in h.known}) for h in dataset.histories().values()}
    fees = {len(h.fees) for h in dataset.histories().values()}
    assert max(grids) > 1
    assert max(closes) > 1
    assert len(fees) > 1
    outcomes = {r.spec.ticker: r.known_ns for r in dataset.outcomes()}
    assert outcomes == session.outcomes_heard
    assert len(outcomes) >= 12


def test_every_row_of_every_certified_market_is_the_same_to_the_bit(recorded):
    compared, known = 0, set()
    for bank in recorded.banks:
        at, teaches = 0, bank is recorded.banks[0]
        for number, info in enumerate(bank.markets):
            live = recorded.session.rows[info.ticker]
            there = slice(at, at + len(live))
            same_rows(live, bank, there, info.ticker, OF_OUTCOMES if teaches else ())
            heard_ns = recorded.session.fees_heard.get(info.specification.event)
            same_terms(live, bank, there, number, heard_ns)
            known |= set(bank.arrays.features[there, bank.feature_names.index("similar_confidence")].tolist())
            at += len(live)
        assert at == bank.n_rows  # no row of the dataset was left out
        compared += at

    assert compared > 5_000
    assert len(known) > 3  # outcomes became known while markets traded


#: Columns of a bank's row beside its features. The end of a burst is left out: only matching may know it.
COLUMNS = (
    "recv_ns", "bid_px_e4", "ask_px_e4", "bid_qty_e2", "ask_qty_e2", "print_px_e4", "print_qty_e2",
    "print_side",
)  # fmt: skip


OF_OUTCOMES = (
    "category_rate", "category_calibration", "similar_rate", "similar_confidence",
)  # fmt: skip


def same_rows(live: list[LiveRow], bank: Bank, there: slice, ticker: str, untold: Sequence[str]) -> None:
    rows = bank.arrays.rows[there]
    stacked = {name: np.array([getattr(row, name)[0] for row, _ in live]) for name in (*COLUMNS, "valid")}
    for name in COLUMNS:
        np.testing.assert_array_equal(stacked[name], rows[name], f"{ticker}: {name}")
    np.testing.assert_array_equal(stacked["valid"] == CROSSED, rows["state"] & ROW_CROSSED, ticker)
    features = np.array([row.features[0] for row, _ in live])
    for shown, kept in zip(LiveSession.columns, (bank.arrays.features, bank.arrays.temporal), strict=True):
        same = (features[:, shown].view(np.uint32) == kept[there].view(np.uint32)).all(0)
        differ = {
            bank.feature_names[c] if kept is bank.arrays.features else f"temporal {c}"
            for c in np.flatnonzero(~same)
        }
        assert differ <= set(untold), ticker


FEES = ("taker_rate_e6", "maker_rate_e6", "rounding")


def same_terms(live: list[LiveRow], bank: Bank, there: slice, number: int, fees_heard_ns: int | None) -> None:
    """Compare close, grid and fees as they were known at each row; None: no change of fees was heard."""
    info, first = bank.markets[number], int(bank.arrays.markets["terms_at"][number])
    ticker, recv_ns = info.ticker, bank.arrays.rows["recv_ns"][there]
    theirs = bank.arrays.terms[first + bank.arrays.rows["terms"][there].astype(int)]
    for name in ("close_ns", "bands_e4", "taker_rate_e6", "maker_rate_e6", "rounding"):
        own, found = np.array([terms[name] for _, terms in live]), theirs[name]
        if name in FEES and (late := np.flatnonzero(own != found)).size:
            # The exchange charges by a change from its time on; on a busy machine its frame comes behind rows
            # of after that time, and a live session hears of it after them.
            assert fees_heard_ns is not None, (ticker, name)
            assert info.history.fees[-1].from_ns <= recv_ns[late[0]], (ticker, name, late)
            assert recv_ns[late[-1]] <= fees_heard_ns, (ticker, name, late)
            assert (own[late] == own[0]).all(), (ticker, name)  # those of before
            assert (found[late] == found[-1]).all(), (ticker, name)  # those of after
            own[late] = found[late]
        np.testing.assert_array_equal(own, found, f"{ticker}: {name}")


def test_every_observation_of_replay_was_shown_live(recorded):
    compared = 0
    for bank in recorded.banks[1:]:  # all events that judge
        for number, segment in enumerate(bank.arrays.segments):
            ticker = bank.markets[int(segment.market)].ticker
            seen = replayed(bank, (number,), CONFIG, WINDOW)
            assert_same(seen, recorded.session.seen[recorded.session.places[ticker].group])
            compared += len(seen)

    assert compared > 1_000
