"""What a dataset holds, and every way in which it is not what its manifest says."""

import pytest
from made.fake_import import build, files

from kalshi_platform.data.dataset.inspect import doubts_of, find_problems, summarise
from kalshi_platform.data.dataset.manifest import MANIFEST_NAME, playable_words
from kalshi_platform.data.dataset.shard import read_rows
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.domain.errors import ChecksumError
from kalshi_platform.storage.storage import open_storage


def test_the_summary_adds_up(fake, tmp_path):
    build(tmp_path / "out")
    summary = summarise(Dataset.open(tmp_path / "out"))
    assert (summary.events, summary.markets, summary.settled_markets) == (6, 12, 6)
    assert summary.provenance == {"recorded": 12}
    assert sum(s.events for s in summary.splits.values()) == 6
    assert sum(s.rows for s in summary.splits.values()) == summary.rows
    assert summary.readable
    assert summary.n_bytes == sum(
        len(data) for name, data in files(tmp_path / "out").items() if name != MANIFEST_NAME
    )


def test_markets_that_no_episode_can_step_over_are_counted_in_their_split(tmp_path, fake):
    manifest = build(tmp_path / "out")
    alone, *others = manifest.markets
    changed = manifest.replace(
        markets=(
            alone.replace(n_segments=0), others[0].replace(n_segments=0), others[1].replace(n_segments=0),
            *others[2:],
        )
    )  # fmt: skip
    changed.write(open_storage(tmp_path / "out"))
    summary = summarise(Dataset.open(tmp_path / "out"))
    assert summary.unplayable_markets == 3
    lost = {m.split for m in changed.markets[:3]}
    assert sum(summary.splits[s].unplayable_events for s in lost) == 1  # EV0 whole, one of EV1
    assert playable_words(764, 43).startswith(
        "764 markets, of which 43 cannot be played: fewer than two rows"
    )
    older = changed.replace(markets=(alone.replace(n_segments=None), *others))
    older.write(open_storage(tmp_path / "out"))
    assert summarise(Dataset.open(tmp_path / "out")).unplayable_markets is None


@pytest.mark.parametrize("folder", ["events", "features"])
def test_verification_names_a_damaged_and_a_missing_shard(fake, tmp_path, folder):
    build(tmp_path / "out")
    damaged, missing = sorted(p for p in (tmp_path / "out" / folder).rglob("*") if p.is_file())[:2]
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"\0\0")
    missing.unlink()
    dataset = Dataset.open(tmp_path / "out")
    problems = find_problems(dataset)
    assert len(problems) == 2
    assert any(str(damaged) in line and "sha256" in line for line in problems)
    assert any(str(missing) in line for line in problems)
    if folder == "features":
        with pytest.raises(ChecksumError, match=str(damaged)):
            read_rows(dataset, "EV0")


def test_verification_names_a_market_whose_figures_differ(fake, tmp_path):
    manifest = build(tmp_path / "out")
    wrong = manifest.markets[0].replace(n_events=1, n_rows=2, settled=False)
    changed = manifest.replace(markets=(wrong, *manifest.markets[1:]))
    changed.write(open_storage(tmp_path / "out"))
    problems = find_problems(Dataset.open(tmp_path / "out"))
    assert len(problems) == 3
    assert all("EV0-A" in line for line in problems)


def test_counters_that_bear_on_results_are_those_of_broken_books_and_of_what_was_assumed():
    counters = {"books_ended:crossed": 2, "rows_refused:off_grid": 1, "frames": 9, "crossed_transient": 0}
    assert doubts_of(counters) == {"books_ended:crossed": 2, "rows_refused:off_grid": 1}
