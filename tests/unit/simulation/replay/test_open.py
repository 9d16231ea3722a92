"""Opened splits: shares hold whole events, know their place in the split and are cached apart."""

import pickle
import shutil

import numpy as np
import pytest
from made.fake_import import FakeImport

from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.data.dataset.split import SplitConfig
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.data.features.spec import FEATURE_SETS
from kalshi_platform.domain import saying
from kalshi_platform.domain.errors import ChecksumError, ContractError
from kalshi_platform.domain.saying import Teller
from kalshi_platform.simulation.replay import cache
from kalshi_platform.simulation.replay.open import Share, SplitOpener, bank_bytes, open_bank

EVENTS = tuple(f"EV{k}" for k in range(12))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("shares")
    with pytest.MonkeyPatch.context() as patch:
        FakeImport(folder, EVENTS).install(patch)
        build_dataset([], folder / "data", BuildConfig(workers=0, split=SplitConfig(salt="shares")))
    return str(folder / "data")


@pytest.mark.parametrize("n", [1, 2, 3])
def test_shares_hold_the_split_without_overlap_and_their_rows_are_the_full_banks_to_the_bit(dataset, n):
    opener = SplitOpener(dataset, "train", FEATURE_SETS)
    full = opener()
    seen = []
    for k in range(n):
        share = opener.only(Share(k, n))()
        assert share.full_rows is not None
        rows = share.full_rows.of(np.arange(share.n_rows))
        assert rows.dtype == np.int64
        for name in ("rows", "features", "temporal", "age"):
            mine, theirs = getattr(share.arrays, name), getattr(full.arrays, name)
            np.testing.assert_array_equal(mine, theirs[rows], err_msg=name)
        seen.append(rows)
    assert sorted(np.concatenate(seen).tolist()) == list(range(full.n_rows))
    assert full.full_rows is None


def test_event_k_of_the_sorted_list_goes_to_worker_k_mod_n(dataset):
    events = Dataset.open(dataset).manifest.events("train")
    for k in range(2):
        share = open_bank(dataset, "train", FEATURE_SETS, share=Share(k, 2))
        assert sorted({market.event for market in share.markets}) == list(events[k::2])


def test_an_empty_slot_stays_empty(dataset):
    share = open_bank(dataset, "train", FEATURE_SETS, share=Share(1, 2))
    first = int(share.full_rows.of(np.array(0)))
    assert first > 0
    assert share.full_rows.of(np.array([[-1, 0], [-1, -1]])).tolist() == [[-1, first], [-1, -1]]


def test_a_share_has_a_folder_of_its_own_in_the_cache(dataset):
    opener = SplitOpener(dataset, "train", FEATURE_SETS)
    held = [opener(), opener.only(Share(0, 2))(), opener.only(Share(1, 2))()]
    digest = Dataset.open(dataset).digest
    keys = {bank.key.split("-")[2] for bank in cache.banks() if bank.key.startswith(f"{digest}-train")}
    assert {"0of2", "1of2"} < keys
    assert len(held) == 3


def test_more_workers_than_events_are_refused(dataset):
    with pytest.raises(ContractError, match="too few for 50 workers"):
        open_bank(dataset, "train", FEATURE_SETS, share=Share(0, 50))
    with pytest.raises(ContractError, match="give one of 0 to 1"):
        open_bank(dataset, "train", FEATURE_SETS, share=Share(2, 2))


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """A cache of the test's own; the folder of its banks."""
    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path))
    return cache.cache_folder()


@pytest.mark.parametrize("array", ["features", "rows", "terms", "markets"])
def test_a_damaged_cache_is_built_again_and_gives_the_same_numbers(dataset, own_cache, caplog, array):
    before = {name: np.array(value) for name, value in opened(dataset).items()}
    (bank,) = own_cache.iterdir()
    data = bytearray((bank / f"{array}.npy").read_bytes())
    data[-3] ^= 2
    (bank / f"{array}.npy").write_bytes(data)
    after = opened(dataset)
    assert [f"{array}.npy has sha256" in record.getMessage() for record in caplog.records] == [True]
    assert after.keys() == before.keys()
    for name, value in before.items():  # not their bytes: the padding of records is anything
        np.testing.assert_array_equal(after[name], value, err_msg=name)


def opened(dataset) -> dict[str, np.ndarray]:
    return open_bank(dataset, "train", FEATURE_SETS).arrays._asdict()


def test_with_a_warm_cache_shards_are_not_read_and_with_a_cold_one_a_damaged_one_is_refused(
    dataset, own_cache, tmp_path
):
    copy = str(shutil.copytree(dataset, tmp_path / "data"))
    warm = {name: value.tobytes() for name, value in opened(copy).items()}
    for shard in (tmp_path / "data" / "features").rglob("*.arrow"):
        data = bytearray(shard.read_bytes())
        data[len(data) // 2] ^= 1
        shard.write_bytes(data)
    assert {name: value.tobytes() for name, value in opened(copy).items()} == warm
    shutil.rmtree(own_cache)
    with pytest.raises(ChecksumError, match="arrow"):
        opened(copy)


def test_whoever_hears_the_program_hears_how_far_a_cold_opening_is(dataset, own_cache, monkeypatch):
    class Ear(Teller):
        def __init__(self):
            self.heard = []

        def __call__(self, line):
            raise AssertionError(line)  # no stage

        note = detail = __call__

        def passing(self, line):
            self.heard.append(line)

    ear = Ear()
    monkeypatch.setattr(saying, "_program", [ear])
    open_bank(dataset, "train", FEATURE_SETS)
    n_events = len(Dataset.open(dataset).entries("train").event_names)
    assert ear.heard[-1] == f"opening the train split: {n_events} of {n_events} events"
    assert len(ear.heard) == n_events
    open_bank(dataset, "train", FEATURE_SETS)
    assert len(ear.heard) == n_events  # a bank in the cache is mapped at once


def test_an_opener_travels_to_another_process(dataset):
    opener = SplitOpener(dataset, "train", FEATURE_SETS).only(Share(1, 2))
    assert pickle.loads(pickle.dumps(opener)) == opener


def test_the_size_of_a_bank_is_known_from_the_manifest(dataset):
    bank = open_bank(dataset, "train", FEATURE_SETS)
    arrays = bank.arrays
    exact = arrays.rows.nbytes + arrays.features.nbytes + arrays.temporal.nbytes + arrays.age.nbytes
    assert bank_bytes(Dataset.open(dataset), "train", FEATURE_SETS) == exact
