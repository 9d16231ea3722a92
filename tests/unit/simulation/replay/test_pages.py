"""Banks on demand: the same episodes and bits as banks in the cache; no row is read before it is filled."""

import functools
import gc
import os
import shutil

import numpy as np
import pytest
from made.fake_import import FakeImport
from made.replay_bank import play, same, training_env

from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.data.dataset.split import SplitConfig
from kalshi_platform.data.features.spec import FEATURE_SETS
from kalshi_platform.domain.errors import ChecksumError, ContractError, StorageError
from kalshi_platform.evaluation.judging.fee_times import fee_sources
from kalshi_platform.evaluation.judging.oracle import hindsight_by_segment
from kalshi_platform.models.networks.foresight import Foresight
from kalshi_platform.models.networks.history import WindowGatherer
from kalshi_platform.models.rules.baselines import favourite_is_yes
from kalshi_platform.models.rules.public_book import imbalances, spread_signals
from kalshi_platform.simulation.envs.episodes import event_episodes, market_episodes
from kalshi_platform.simulation.replay import cache, on_demand, open
from kalshi_platform.simulation.replay.open import Share, open_bank
from kalshi_platform.simulation.replay.pages import Pages, RowLease, pages_of, reading

EVENTS = tuple(f"EV{k}" for k in range(12))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patch:
        FakeImport(folder, EVENTS).install(patch)
        build_dataset([], folder / "data", BuildConfig(workers=0, split=SplitConfig(salt="shares")))
    return str(folder / "data")


@pytest.fixture
def demand(dataset, tmp_path, monkeypatch):
    """Opens the training split on demand, within three events or so, empty rows poisoned."""

    def opened(uri=dataset, share=None, poisoned=True, limit_gb="0.0006"):
        monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path / "cache"))
        monkeypatch.setenv(cache.LIMIT_VARIABLE, limit_gb)
        monkeypatch.setattr(open, "Pages", functools.partial(Pages, poisoned=poisoned))
        bank = open_bank(uri, "train", FEATURE_SETS, share=share)
        assert pages_of(bank.arrays) is not None
        return bank

    return opened


def test_play_on_demand_is_play_in_memory_to_the_bit(dataset, demand):
    whole, few = open_bank(dataset, "train", FEATURE_SETS), demand()
    for mode in ("concurrent", "shifted"):
        one, other = (
            play(training_env(bank, n_envs=3, seed=5, mode=mode, min_steps=5, max_steps=30), 200)
            for bank in (whole, few)
        )
        assert same(one, other)
    assert pages_of(few.arrays).n_emptied > 20


@pytest.mark.parametrize("poisoned", [True, False])
def test_every_reader_of_rows_finds_what_the_whole_bank_holds(dataset, demand, poisoned):
    whole, few = open_bank(dataset, "train", FEATURE_SETS), demand(poisoned=poisoned)
    rng = np.random.default_rng(3)
    for _ in range(5):
        rows = rng.integers(-1, whole.n_rows, (4, 3))
        for one, other in zip(
            *(WindowGatherer(b.arrays, 7).distinct(rows) for b in (whole, few)), strict=True
        ):
            assert (one.numpy() == other.numpy()).all()
        for one, other in zip(*(Foresight(bank).targets(rows) for bank in (whole, few)), strict=True):
            assert (one.numpy() == other.numpy()).all()
        for reader in (favourite_is_yes, imbalances):
            assert (reader(whole, rows) == reader(few, rows)).all()
    for reader in (lambda b: hindsight_by_segment(b, 100), lambda b: np.array(spread_signals(b))):
        assert (reader(whole) == reader(few)).all()
    assert fee_sources(whole) == fee_sources(few)
    for table in (
        lambda b: event_episodes(b, 2), lambda b: market_episodes(b, 1, max_steps=5, per_market=3, seed=1)
    ):  # fmt: skip
        assert same(table(whole), table(few))


def test_rows_are_filled_emptied_and_filled_again_within_the_bound(dataset, demand):
    whole, few = open_bank(dataset, "train", FEATURE_SETS), demand(poisoned=False)
    pages = pages_of(few.arrays)
    for row in [*range(0, whole.n_rows, 97), *range(0, whole.n_rows, 211)]:
        with reading(few.arrays, row) as arrays:
            for name in ("rows", "features", "temporal", "age"):
                assert (getattr(arrays, name)[row] == getattr(whole.arrays, name)[row]).all()
        assert pages.filled_bytes <= 600_000
    assert pages.n_fills > pages.n_emptied > 0
    blocks = sum(512 * os.fstat(f.handle).st_blocks for f in pages._files.values())
    assert blocks <= 600_000 + 4 * 2 * 4_096 * len(EVENTS)


def test_an_empty_row_reads_as_nothing_once_its_neighbours_are_filled(demand):
    few = demand(poisoned=False)
    pages = pages_of(few.arrays)
    edges = pages._first_rows
    with reading(few.arrays, int(edges[1])):
        pass
    with reading(few.arrays, int(edges[0])):
        kept = np.array(pages.raw.rows["recv_ns"][: edges[2]])
        pages._empty(1)
        assert (pages.raw.rows["recv_ns"][: edges[1]] == kept[: edges[1]]).all()
        assert (pages.raw.rows["recv_ns"][edges[1] : edges[2]] == 0).all()


def test_rows_that_nobody_asked_for_are_refused(demand):
    few = demand()
    for wrong in (
        lambda: few.arrays.rows[0],
        lambda: few.arrays.rows["recv_ns"],
        lambda: np.asarray(few.arrays.features),
        lambda: few.arrays.age[3:5],
        lambda: list(few.arrays.temporal),
    ):
        with pytest.raises(ContractError, match="of a bank on demand was read without asking for its rows"):
            wrong()
    assert few.arrays.temporal.shape[1] > 0
    assert few.n_rows == few.arrays.age.size


def test_rows_that_somebody_keeps_stay_above_the_bound_and_the_log_says_so_once(demand, caplog):
    few = demand(limit_gb="0.00001")
    pages = pages_of(few.arrays)
    lease = RowLease(pages)
    lease.keep(np.arange(0, few.n_rows, 50))
    assert pages.filled_bytes == few.n_rows * pages._row_bytes
    lease.keep(np.arange(0, few.n_rows, 50))
    assert [r for r in caplog.text.splitlines() if "are kept all the same" in r] != []
    assert caplog.text.count("are kept all the same") == 1
    del lease
    gc.collect()
    assert not pages._holders


def test_a_share_on_demand_has_the_rows_of_its_share(dataset, demand):
    whole, share = open_bank(dataset, "train", FEATURE_SETS), demand(share=Share(1, 2), limit_gb="0.0003")
    for row in range(0, share.n_rows, 40):
        with reading(share.arrays, row) as arrays:
            assert (arrays.features[row] == whole.arrays.features[share.full_rows.of(np.array(row))]).all()


def test_a_shard_lost_or_damaged_while_training_is_named(dataset, demand, tmp_path):
    copy = shutil.copytree(dataset, tmp_path / "data")
    few = demand(uri=str(copy))
    env = training_env(few, n_envs=2, min_steps=5, max_steps=30)
    shards = sorted((copy / "features").rglob("*.arrow"))
    for shard in shards:
        data = bytearray(shard.read_bytes())
        data[len(data) // 2] ^= 1
        shard.write_bytes(data)
    with pytest.raises(ChecksumError, match=r"\.arrow: sha256 .* the manifest says"):
        play(env, 200)
    for shard in shards:
        shard.unlink()
    with pytest.raises(StorageError, match=r"cannot read .*\.arrow: it is gone.*build the dataset again"):
        play(training_env(few, n_envs=2, min_steps=5, max_steps=30), 200)


def test_rows_kept_before_a_filling_that_failed_are_kept_again_when_they_are_asked_for(
    dataset, demand, tmp_path
):
    whole, copy = open_bank(dataset, "train", FEATURE_SETS), shutil.copytree(dataset, tmp_path / "data")
    few = demand(uri=str(copy))
    pages = pages_of(few.arrays)
    first, second = (np.arange(*pages._first_rows[k : k + 2]) for k in (0, 1))
    lease = RowLease(pages)
    lease.keep(first)
    (copy / "features").rename(tmp_path / "away")
    with pytest.raises(StorageError, match="cannot read"):
        lease.keep(second)
    (tmp_path / "away").rename(copy / "features")
    lease.keep(first)
    for row in range(0, few.n_rows, 97):  # more than the bound: what nobody keeps leaves
        with reading(few.arrays, row):
            pass
    assert pages.n_emptied
    assert (pages.raw.features[first] == whole.arrays.features[first]).all()


def test_rows_whose_filling_failed_are_filled_when_they_are_asked_for_again(dataset, demand, tmp_path):
    whole, copy = open_bank(dataset, "train", FEATURE_SETS), shutil.copytree(dataset, tmp_path / "data")
    few = demand(uri=str(copy))
    (copy / "features").rename(tmp_path / "away")
    lease, rows = RowLease(pages_of(few.arrays)), np.arange(5)
    with pytest.raises(StorageError, match="cannot read"):
        lease.keep(rows)
    (tmp_path / "away").rename(copy / "features")
    lease.keep(rows)
    assert (pages_of(few.arrays).raw.features[rows] == whole.arrays.features[rows]).all()


def test_what_fits_is_cached_and_what_does_not_is_told_in_one_line(dataset, demand, caplog):
    open_bank(dataset, "train", FEATURE_SETS)
    assert caplog.messages == []
    demand()
    (line,) = caplog.messages
    assert line.startswith(f"the train split of {dataset} is opened on demand: its bank of 0.00")
    assert "the cache's 0.001 GB (KALSHI_PLATFORM_CACHE_GB)" in line
    assert pages_of(demand(limit_gb="0.0006").arrays) is not None


def test_processes_share_the_limit_and_a_killed_one_gives_its_part_back(demand):
    few = demand(limit_gb="0.0006")
    room = on_demand.Room()
    in_use = sum(bank.n_bytes for bank in cache.banks())
    assert on_demand.open_banks() == 2
    assert room.bound_bytes() == (600_000 - in_use) // 2
    (on_demand._folder() / "of-a-killed-process").touch()
    del few
    gc.collect()
    assert on_demand.open_banks() == 1


def test_a_bank_whose_cache_is_deleted_by_hand_is_read_on(dataset, demand):
    whole, few = open_bank(dataset, "train", FEATURE_SETS), demand()
    room = on_demand.Room()
    shutil.rmtree(on_demand._folder().parent)
    for row in range(0, few.n_rows, 97):
        room._looked_s = -1e9
        with reading(few.arrays, row) as arrays:
            assert (arrays.features[row] == whole.arrays.features[row]).all()
        pages_of(few.arrays)._bound_bytes.__self__._looked_s = -1e9
    room.bound_bytes()
    assert on_demand.open_banks() == 2
    del few, arrays, room
    gc.collect()
    assert on_demand.open_banks() == 0


def test_a_disk_without_room_is_named(demand, monkeypatch):
    usage = shutil.disk_usage("/")._replace(free=10**6)
    monkeypatch.setattr(on_demand.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(StorageError, match=r"0\.001 GB free, rows on demand take at least 0\.268"):
        demand()


def test_rows_beyond_two_billion_keep_their_numbers(tmp_path):
    n, kind = 3 * 2**30, np.dtype(np.int32)
    first = np.array([0, 2**31 + 5, n], np.int64)
    pages = Pages(tmp_path, {"age": ((n,), kind)}, first, None, lambda: 0)
    pages._files["age"].write(n - 2, np.array([7, 8], np.int32))
    assert pages._files["age"].array[n - 2 :].tolist() == [7, 8]
    assert pages.events_of(np.array([-1, n - 1, 2**31 + 4, 2**31 + 5, n - 1])).tolist() == [0, 1]
    assert [pages.event_of(row) for row in (0, 2**31 + 4, 2**31 + 5, n - 1)] == [0, 0, 1, 1]


def test_rows_that_another_process_is_about_to_map_are_no_mark_of_a_killed_one(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path))
    own = on_demand.Room()
    rows = own.folder / ".rows-of-another-process"
    rows.touch()
    assert on_demand.open_banks() == 1
    assert rows.exists()


def in_a_fork(work) -> str:
    """Words with which ``work`` is refused in a forked process; empty where it is not refused."""
    into, out = os.pipe()
    if not (child := os.fork()):
        try:
            work()
        except ContractError as error:
            os.write(out, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(out)
    with os.fdopen(into) as words:
        return words.read()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_neither_reads_nor_empties_the_rows_of_its_parent(demand):
    few = demand(poisoned=False)
    env = training_env(few, n_envs=1, seed=5, mode="shifted", min_steps=5, max_steps=30)
    flat, rows = env.buffers()
    env.reset(flat, rows)
    hold = np.zeros((1, env.n_slots), np.int8)
    ends = np.zeros(1, np.float32), np.zeros(1, bool), np.zeros(1, bool)

    def reads():
        with reading(few.arrays, few.n_rows - 1):
            pass

    for work in (reads, lambda: env.step(hold, flat, rows, *ends)):
        assert "open the bank in each process" in in_a_fork(work)
    rooms = [on_demand.Room()]
    assert in_a_fork(rooms.clear) == ""
    assert on_demand.open_banks() == 2
    env.step(hold, flat, rows, *ends)
