"""A place is claimed by one sweep, once, and driven by one process; every other is told why not."""

import json

import pytest

from kalshi_platform.domain.errors import ContractError, DataError, StorageError
from kalshi_platform.learning.tuning import claim
from kalshi_platform.learning.tuning.claim import claimed, differences, require_conditional_writes, take_claim
from kalshi_platform.learning.tuning.sweep_store import CACHE_FILE, PLAN_FILE
from kalshi_platform.storage.storage import Storage, open_storage

PLAN = {
    "experiment": "made",
    "dataset": "d" * 12,
    "base": {"train": {"learning_rate": 0.001, "gamma": 0.9}},
    "space": {"env.groups": [("orderbook",), ("orderbook", "temporal")]},
}


@pytest.fixture
def place(tmp_path) -> Storage:
    return open_storage(tmp_path / "place")


def take(place: Storage, plan=PLAN, resume=False, say=print) -> str:
    return take_claim(place, plan, resume=resume, option="--storage", say=say)


def test_a_place_is_taken_once_and_continued_with_resume(place):
    token = take(place)
    stored = json.loads(bytes(place.read_bytes(PLAN_FILE)))
    assert stored["claim"]["token"] == token
    with pytest.raises(ContractError, match="holds a sweep: continue it with --resume or name another --sto"):
        take(place)
    assert take(place, resume=True) == token  # tuples of the plan are lists in the file


def test_nothing_is_resumed_where_nothing_began(place):
    with pytest.raises(ContractError, match="no sweep to resume: leave out --resume"):
        take(place, resume=True)


@pytest.mark.parametrize("resume", [False, True])
def test_another_sweep_is_refused_with_everything_that_differs(place, resume):
    take(place)
    other = {**PLAN, "dataset": "e" * 12, "base": {"train": {"learning_rate": 0.003, "gamma": 0.9}}}
    with pytest.raises(ContractError) as refused:
        take(place, other, resume)
    assert 'begun with another dataset: "dddddddddddd" -> "eeeeeeeeeeee"' in str(refused.value)
    assert "base.train.learning_rate: 0.001 -> 0.003" in str(refused.value)
    assert "gamma" not in str(refused.value)


def test_a_setting_that_only_one_of_two_plans_has_is_a_difference():
    assert differences({"a": {"b": 1}}, {"a": {"b": 1, "c": None}}) == ["a.c: nothing -> null"]
    assert differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}) == ["a.c: 2 -> nothing"]
    assert differences({"a": 1, "claim": {"token": "x"}}, {"a": 1}) == []


def test_of_two_drivers_that_begin_at_once_one_gets_the_place(place, monkeypatch):
    create = Storage.create_exclusive

    def slower(self, path, data):
        if path == PLAN_FILE:
            self.write_bytes_atomic(path, json.dumps({**PLAN, "claim": {"token": "first"}}).encode())
        return create(self, path, data)

    monkeypatch.setattr(Storage, "create_exclusive", slower)
    with pytest.raises(ContractError, match="holds a sweep"):
        take(place)


def test_a_lost_answer_to_ones_own_claim_is_no_other_sweep(place, monkeypatch):
    create = Storage.create_exclusive
    monkeypatch.setattr(Storage, "create_exclusive", lambda *given: create(*given) and given[1] != PLAN_FILE)
    token = take(place)
    assert json.loads(bytes(place.read_bytes(PLAN_FILE)))["claim"]["token"] == token


def test_runs_without_a_plan_are_taken_for_nobodys(place):
    place.write_bytes_atomic("trials/t000-1/mirror.json", b"{}")
    with pytest.raises(ContractError, match=r"has runs \(trials/t000-1/mirror.json\) but no plan.json"):
        take(place)


def test_a_sweep_of_an_earlier_version_and_a_damaged_plan_are_named(place):
    place.write_bytes_atomic(PLAN_FILE, json.dumps(PLAN).encode())
    with pytest.raises(ContractError, match="earlier version of this program"):
        take(place, resume=True)
    place.write_bytes_atomic(PLAN_FILE, b"{")
    with pytest.raises(DataError, match=r"plan\.json is no plan"):
        take(place, resume=True)


def test_a_program_that_changed_since_the_sweep_began_is_said(place, monkeypatch):
    take(place)
    said: list[str] = []
    monkeypatch.setattr(claim, "program_facts", lambda: {"code": "new"})
    take(place, resume=True, say=said.append)
    (line,) = said
    assert "the program has changed since the sweep began" in line
    assert '-> "new"' in line


@pytest.mark.parametrize("fails", [True, False])
def test_a_store_without_conditional_writes_is_refused(place, monkeypatch, fails):
    def create(self, path, data):
        if fails:
            raise StorageError("cannot create: NotImplemented: a header is not implemented")
        self.write_bytes_atomic(path, data)  # as a store that does not know the header
        return True

    monkeypatch.setattr(Storage, "create_exclusive", create)
    with pytest.raises(StorageError, match=r"(refuses|ignores) conditional writes \(If-None-Match\)"):
        take(place)
    assert place.list_files() == []  # nothing half-taken


def test_a_folder_honours_conditional_writes(place):
    require_conditional_writes(place)
    assert place.list_files() == []


def open_sweep(out, uri, resume=False):
    return claimed("made", PLAN, out, uri, resume=resume, say=lambda line: None)


def test_a_second_driver_is_refused_while_the_first_lives_and_follows_when_it_has_ended(
    tmp_path, monkeypatch
):
    uri = str(tmp_path / "store")
    monkeypatch.setattr("kalshi_platform.storage.lease.BEAT_S", 0.05)
    monkeypatch.setattr("kalshi_platform.storage.lease._PAUSE_S", 0.05)
    with open_sweep(tmp_path / "one", uri) as store:
        (tmp_path / "one" / "sweep.json").write_text("kept")
        store.keep("sweep.json")
        with (
            pytest.raises(ContractError, match="is being written by process"),
            open_sweep(tmp_path / "two", uri, resume=True),
        ):
            pass
    with open_sweep(tmp_path / "two", uri, resume=True) as later:
        assert later.claim == store.claim
        assert (tmp_path / "two" / "sweep.json").read_text() == "kept"
        assert json.loads((tmp_path / "two" / PLAN_FILE).read_text())["experiment"] == "made"


def test_a_folder_without_a_storage_has_one_driver_too(tmp_path, monkeypatch):
    monkeypatch.setattr(claim, "_LOCAL_PATIENCE_S", 0.0)
    with open_sweep(tmp_path / "sweep", "") as store:
        assert (store.out, store.is_remote) == (tmp_path / "sweep", False)
        with (
            pytest.raises(ContractError, match="is being written by process"),
            open_sweep(tmp_path / "sweep", "", resume=True),
        ):
            pass
    with open_sweep(tmp_path / "sweep", "", resume=True) as again:
        assert again.claim == store.claim


def test_without_a_folder_the_copies_lie_in_the_home_under_a_name_of_this_claim(tmp_path, monkeypatch):
    monkeypatch.setenv("KALSHI_PLATFORM_HOME", str(tmp_path / "home"))
    said: list[str] = []
    with claimed("made", PLAN, None, str(tmp_path / "store"), resume=False, say=said.append) as store:
        assert store.out.parent == tmp_path / "home" / "sweeps"
        assert json.loads((store.out / CACHE_FILE).read_text())["claim"] == store.claim
        assert store.run_folder("trials") == f"{store.out.name}/trials"
    assert said == [f"the sweep lies in {tmp_path / 'store'}; copies on this machine: {store.out}"]


def test_a_plan_with_a_damaged_claim_is_named(place):
    take(place)
    plan = json.loads(bytes(place.read_bytes(PLAN_FILE)))
    for damaged in ([], {**plan, "claim": {}}, {**plan, "claim": {"token": "t", "program": []}}):
        place.write_bytes_atomic(PLAN_FILE, json.dumps(damaged).encode())
        with pytest.raises(DataError, match=r"plan\.json is no plan of a sweep: restore it"):
            take(place, resume=True)


@pytest.mark.parametrize(
    ("file", "what"), [("manifest.json", "a dataset"), ("models/tiny-1/record.json", "a registry of models")]
)
def test_a_place_that_holds_something_else_is_refused(place, file, what):
    place.write_bytes_atomic(file, b"{}")
    with pytest.raises(ContractError, match=f"holds {what}, and a sweep needs a place of its own"):
        take(place)
    assert [found.path for found in place.list_files()] == [file]


def test_two_that_ask_for_conditional_writes_at_once_do_not_meet(place, monkeypatch):
    read = Storage.read_bytes

    def meanwhile(self, path):
        monkeypatch.setattr(Storage, "read_bytes", read)
        require_conditional_writes(place)  # another driver, in the middle of the first one's question
        return read(self, path)

    monkeypatch.setattr(Storage, "read_bytes", meanwhile)
    require_conditional_writes(place)
    assert place.list_files() == []


def test_a_folder_that_cannot_hold_the_copies_is_refused_before_the_place_is_claimed(tmp_path):
    (tmp_path / "file").write_text("no folder")
    for out, words in ((tmp_path / "place", "are both"), (tmp_path / "file", "cannot hold copies")):
        with (
            pytest.raises(ContractError, match=words),
            claimed("made", PLAN, out, f"{tmp_path}/place/", resume=False, say=print),
        ):
            pass
    assert not (tmp_path / "place" / PLAN_FILE).exists()
