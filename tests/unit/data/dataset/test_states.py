"""The state before the present: kept for its readers, forgotten with its shards, replaced only once."""

from unittest.mock import Mock

import pytest
from made.stored import make_dataset

from kalshi_platform.data.dataset.manifest import STATES_FOLDER, Manifest
from kalshi_platform.data.dataset.states import claim_state, forget_states, keep_state
from kalshi_platform.data.dataset.tables import TABLES_FOLDER
from kalshi_platform.domain.errors import ContractError, StorageError
from kalshi_platform.storage.storage import open_storage


@pytest.fixture
def place(tmp_path, rng):
    """Storage, its manifest, and two states that could follow."""
    _, manifest = make_dataset(tmp_path, rng)
    later = [manifest.replace(sources=(name,), parents=(manifest.digest,)) for name in "ab"]
    return open_storage(tmp_path), manifest, *later


def test_a_kept_state_is_forgotten_with_the_shards_it_names(place):
    storage, first, second, _ = place
    second.write(storage)
    keep_state(storage, first)
    keep_state(storage, second)
    assert forget_states(storage, keep=second.digest) == first.paths()
    assert [f.path for f in storage.list_files(STATES_FOLDER)] == [f".states/{second.digest}.json"]
    assert forget_states(storage) == second.paths()
    assert forget_states(storage) == set()


def test_a_note_that_is_damaged_names_no_shard_and_goes(place):
    storage, *_ = place
    storage.write_bytes_atomic(f"{STATES_FOLDER}/0123.json", b"{")
    assert forget_states(storage) == set()
    assert storage.list_files(STATES_FOLDER) == []


def test_a_note_whose_tables_are_gone_goes_without_failing_what_is_in_force(place):
    storage, first, second, _ = place
    keep_state(storage, first)
    for table in storage.list_files(TABLES_FOLDER):
        storage.delete(table.path)
    second.write(storage)
    assert forget_states(storage) == set()
    assert storage.list_files(STATES_FOLDER) == []


def test_a_note_that_the_storage_cannot_read_now_stays_and_its_files_are_known_next_time(place, monkeypatch):
    storage, first, second, _ = place
    keep_state(storage, first)
    second.write(storage)
    with monkeypatch.context() as patch:
        patch.setattr(Manifest, "read", Mock(side_effect=StorageError("the bucket is away")))
        assert forget_states(storage) == set()
    assert forget_states(storage) == first.paths()


def test_a_state_that_is_no_longer_in_force_is_not_replaced(place):
    storage, first, second, third = place
    claim_state(storage, first, second)
    second.write(storage)
    with pytest.raises(ContractError, match=f"became {second.digest} while files were added"):
        claim_state(storage, first, third)


def test_in_a_bucket_one_growth_claims_a_state_and_may_be_repeated(place):
    storage, first, second, third = place
    address = storage.uri
    storage.uri = f"s3://stands-for/{address}"  # a folder that claims as a bucket does
    claim_state(storage, first, second)
    claim_state(storage, first, second)  # killed, and repeated with the same files
    with pytest.raises(ContractError, match=rf"another --add .* \({first.digest} to {second.digest}"):
        claim_state(storage, first, third)
    forget_states(storage, keep=first.digest)
    claim_state(storage, first, third)
