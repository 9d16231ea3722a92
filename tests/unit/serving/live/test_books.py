"""Live observations equal those of replay, bit for bit, whatever happens to the books meanwhile."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from made.live_capture import ALL_GROUPS, assert_same, built, in_order, live, records_of, replayed, simulated

from kalshi_platform.data.dataset.factors import Factors
from kalshi_platform.data.dataset.teaching import taught_history
from kalshi_platform.data.market_data.capture import CaptureWriter, Frame, read_frames
from kalshi_platform.serving.live.books import LiveBooks
from kalshi_platform.simulation.envs.config import EnvConfig

WINDOW = 12


def config(n_slots: int, **changes) -> EnvConfig:
    return EnvConfig(n_slots=n_slots, groups=ALL_GROUPS, **changes)


def compare_markets(bank, shown, books, window=WINDOW) -> int:
    """Every segment of every market alone; returns the observations compared."""
    n = 0
    for number, segment in enumerate(bank.arrays.segments):
        ticker = bank.markets[int(segment.market)].ticker
        seen = replayed(bank, (number,), config(1), window)
        assert_same(seen, shown[books.places[ticker].group])
        n += len(seen)
    return n


@pytest.mark.parametrize("gap_share", [0.0, 1.0])
def test_every_market_alone_looks_as_in_replay(tmp_path: Path, gap_share: float) -> None:
    capture = simulated(tmp_path, gap_share=gap_share, seed=3)
    dataset, (bank,) = built(capture, tmp_path / "data")
    books = LiveBooks(config(1), WINDOW, list(dataset.specs().values()))
    shown, refused = live(books, in_order(read_frames(capture)))
    assert not refused
    assert compare_markets(bank, shown, books) > 300
    assert (bank.arrays.segments.size > len(bank.markets)) == (gap_share > 0)


@pytest.mark.parametrize("interval_ms", [0, 1_500])
def test_markets_decided_together_look_as_in_replay(tmp_path: Path, interval_ms: int) -> None:
    capture = simulated(tmp_path, seed=5, fine_grid_share=1.0)
    dataset, (bank,) = built(capture, tmp_path / "data")
    settings = config(
        len(bank.markets), decision_interval_ms=interval_ms, order_style="maker", improve_ticks=1
    )
    together = [[info.ticker for info in bank.markets]]
    books = LiveBooks(settings, WINDOW, list(dataset.specs().values()), together)
    shown, _ = live(books, in_order(read_frames(capture)))
    seen = replayed(bank, tuple(range(len(bank.markets))), settings, WINDOW)
    assert len(seen) > 100
    assert_same(seen, shown[0])


def test_outcomes_of_other_events_are_known_live_as_in_replay(tmp_path: Path) -> None:
    capture = simulated(tmp_path, n_events=6, seed=11, stagger_s=90_000, messages_per_market=60)
    dataset, banks = built(capture, tmp_path / "data")
    parts = dataset.manifest.assignments()
    history = taught_history(records_of(capture), parts, (), Factors((), ()), ())  # of train: fewer outcomes
    books = LiveBooks(config(1), WINDOW, list(dataset.specs().values()), resolutions=history)
    shown, _ = live(books, in_order(read_frames(capture)))
    for bank in banks:
        compare_markets(bank, shown, books)
    names = banks[0].feature_names
    flat = np.array([flat for seen in shown for flat, _ in seen.values()])
    confidence = flat[:, names.index("similar_confidence")]
    assert confidence.max() > 0


@pytest.mark.recorded
@pytest.mark.parametrize("name", ["demo-exchange-2026-07-01", "kxbtc-2026-04-18", "mlb-wnba-2026-08-07"])
def test_a_real_capture_looks_as_in_replay(tmp_path: Path, recorded_data: Path, name: str) -> None:
    capture = recorded_data / "captures" / f"{name}.jsonl.gz"
    _, banks = built(capture, tmp_path / "data")
    books = LiveBooks(config(1), WINDOW)
    shown, refused = live(books, read_frames(capture))
    assert not refused
    assert sum(compare_markets(bank, shown, books) for bank in banks) > 20


def reconnected(frames: list[Frame]) -> list[Frame]:
    """From the snapshots after the hole on, everything comes over another connection."""
    kinds = ["orderbook_snapshot" in frame.raw for frame in frames]
    at = kinds.index(
        True, max(k for k, frame in enumerate(frames) if k < 40 and "orderbook_delta" in frame.raw)
    )
    return frames[:at] + [frame._replace(conn=9) for frame in frames[at:]]


def sent_twice(frames: list[Frame]) -> list[Frame]:
    return [frame for frame in frames for _ in range(2)]


def with_holes(frames: list[Frame]) -> list[Frame]:
    return [frame for k, frame in enumerate(frames) if k % 97 != 96]


@pytest.mark.parametrize(
    ("damaged", "counted"),
    [(reconnected, "reconnections"), (sent_twice, "repeated_frames"), (with_holes, "sequence_gaps")],
)
def test_a_damaged_recording_looks_as_in_replay(tmp_path: Path, damaged, counted: str) -> None:
    whole = simulated(tmp_path, gap_share=1.0, seed=17)
    (tmp_path / "damaged").mkdir()
    shutil.copy(whole.parent / "markets.parquet", tmp_path / "damaged")
    capture = tmp_path / "damaged" / "capture.jsonl"
    with CaptureWriter(capture) as writer:
        for frame in damaged(in_order(read_frames(whole))):
            writer.append(frame.recv_ns, frame.conn, frame.raw)
    dataset, banks = built(capture, tmp_path / "data")
    books = LiveBooks(config(1), WINDOW, list(dataset.specs().values()))
    shown, refused = live(books, read_frames(capture))
    assert not refused
    assert books.counters[counted] > 0
    assert sum(compare_markets(bank, shown, books) for bank in banks) > 50


def test_orders_are_priced_on_the_grid_that_the_prices_showed(tmp_path: Path) -> None:
    capture = simulated(tmp_path, seed=5, fine_grid_share=1.0)
    (capture.parent / "markets.parquet").unlink()  # nobody declares a grid
    _, (bank,) = built(capture, tmp_path / "data")
    settings = config(1, order_style="maker", improve_ticks=1)
    books = LiveBooks(settings, WINDOW)
    _, refused = live(books, in_order(read_frames(capture)))
    assert not refused
    for at, info in zip(bank.arrays.markets["terms_at"], bank.markets, strict=True):
        place = books.places[info.ticker]
        terms = bank.arrays.terms[at]
        assert terms["bands_e4"][0, 2] == 10
        shown = books.groups[place.group].bank.terms["bands_e4"][place.slot]
        np.testing.assert_array_equal(shown, terms["bands_e4"])


class Watched:
    """Watcher that writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple] = []

    def placed(self, place, ticker) -> None:
        self.heard.append(("placed", place, ticker))

    def described(self, place, spec, known, fees, at_ns) -> None:
        self.heard.append(("described", place, spec.ticker))

    def row(self, place, row, exch_ns) -> None:
        self.heard.append(("row", place, int(row.recv_ns[0]), exch_ns))


def test_a_watcher_hears_of_a_place_its_facts_and_then_every_row(tmp_path: Path) -> None:
    frames = in_order(read_frames(simulated(tmp_path, seed=3)))
    watched = Watched()
    books = LiveBooks(config(2), 4, watcher=watched)
    live(books, frames)
    for ticker, place in books.places.items():
        of_place = [heard for heard in watched.heard if heard[1] == place]
        assert [heard[0] for heard in of_place[:3]] == ["placed", "described", "row"]
        assert of_place[0][2] == ticker
        times = [heard[2] for heard in of_place if heard[0] == "row"]
        assert times == sorted(times)
    assert any(heard[3] > 0 for heard in watched.heard if heard[0] == "row")


def test_a_released_slot_is_empty_and_goes_to_the_next_market(tmp_path: Path) -> None:
    frames = in_order(read_frames(simulated(tmp_path, seed=3)))
    books = LiveBooks(config(2), 4)
    live(books, frames[:60])
    ticker, place = next(iter(books.places.items()))
    group = books.groups[place.group]
    group.slots["position_e2"][0, place.slot] = 500
    assert books.release(ticker) == place
    assert books.release(ticker) is None
    batch = group.observe(books.now_ns)
    assert not group.live[place.slot]
    assert not batch.windows[0, place.slot].any()
    assert group.slots["position_e2"][0, place.slot] == 0
    renamed = [f._replace(raw=f.raw.replace(ticker, "NEXT-1"), conn=7) for f in frames[:60]]
    live(books, [f._replace(recv_ns=books.now_ns + k) for k, f in enumerate(renamed) if "NEXT-1" in f.raw])
    assert books.places["NEXT-1"] == place
    assert books.tickers[place.group][place.slot] == "NEXT-1"
