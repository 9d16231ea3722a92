"""A simulated capture, read in the order of its file, passes the live door without one refusal."""

from itertools import pairwise

import pytest
from made.live_capture import live

from kalshi_platform.data.market_data.capture import read_frames
from kalshi_platform.serving.live.books import LiveBooks
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.simexchange import SimConfig, simulate
from kalshi_platform.simulation.simexchange.world import WorldConfig

#: Events open every few minutes, so that up to four trade at a time.
WORLD = WorldConfig(
    n_events=6, min_duration_s=600, max_duration_s=900, stagger_s=200, gap_share=0.5, pause_share=0.5,
    regrid_share=0.5, pause_s=20.0,
)  # fmt: skip
PLANTED = SimConfig(n_events=12, messages_per_market=300, stagger_s=900, gap_share=0.5, seed=2)


@pytest.mark.parametrize("config", [WORLD, PLANTED], ids=["world", "planted_imbalance"])
def test_every_frame_is_taken(tmp_path, config):
    files = simulate(config, tmp_path / "out", file_format="capture")
    frames = list(read_frames(files.events))
    conns = [frame.conn for frame in frames]
    assert sum(a != b for a, b in pairwise(conns)) > 20  # events do overlap
    books = LiveBooks(EnvConfig(), 4)
    seen, refused = live(books, frames)
    assert refused == []
    assert len(books.places) == files.n_markets
    assert sum(len(group) for group in seen) > files.n_messages / 20
