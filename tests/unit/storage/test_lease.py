"""The lease of a bucket's folder: one holder, refused by name while it lives, taken over when it is dead."""

import json
import os
import subprocess
import sys
import time

import pytest

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.storage import lease
from kalshi_platform.storage.lease import WriteLease, leased, take
from kalshi_platform.storage.storage import Storage, open_storage

HERE = f"process {os.getpid()} of "


@pytest.fixture
def storage(tmp_path) -> Storage:
    """A folder stands in for the bucket: both create exclusively."""
    return open_storage(tmp_path)


class Waiting:
    """A clock that only waiting moves; ``meanwhile`` is called after each wait."""

    def __init__(self, meanwhile=lambda: None) -> None:
        self.now_s, self.meanwhile = 1_000.0, meanwhile

    def clock(self) -> float:
        return self.now_s

    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        self.meanwhile()


def taken(storage: Storage, waiting: Waiting) -> WriteLease:
    return take(storage, "sub", 60.0, waiting.clock, waiting.wait)


def test_a_living_holder_is_named_after_the_patience_and_keeps_its_lease(storage, caplog):
    first = taken(storage, Waiting())
    waiting = Waiting(first.beat)
    with pytest.raises(
        ContractError, match=f"{storage.uri} is being written by {HERE}.*: wait for it, end it"
    ):
        taken(storage, waiting)
    assert waiting.now_s == 1_060.0
    first.require()
    (line,) = [record.getMessage() for record in caplog.records]
    assert "waiting for up to 60 s" in line


def test_a_killed_holder_is_succeeded_when_it_gave_no_sign_for_the_quiet_time(storage, caplog):
    dead = taken(storage, Waiting())
    waiting = Waiting()
    second = taken(storage, waiting)
    assert (second.number, waiting.now_s) == (2, 1_045.0)
    assert "gave no sign for 45 s: its lease is taken over" in caplog.records[-1].getMessage()
    second.require()
    dead.beat()  # it was only suspended
    with pytest.raises(ContractError, match=r"was taken over by process .* nothing more was written"):
        dead.require()
    second.require()


def test_a_sign_of_life_begins_the_quiet_time_again(storage):
    first = taken(storage, Waiting())
    waiting = Waiting()

    def beats_once() -> None:
        if waiting.now_s == 1_030.0:
            first.beat()

    waiting.meanwhile = beats_once
    with pytest.raises(ContractError, match="is being written by"):  # quiet for 30 s of 60 only
        taken(storage, waiting)


def test_after_a_lease_that_ended_the_next_writer_does_not_wait(storage):
    for number in (1, 2, 3, 4):
        waiting = Waiting()
        mine = taken(storage, waiting)
        assert (mine.number, waiting.now_s) == (number, 1_000.0)
        mine.end()
    assert [file.path for file in storage.list_files()] == ["sub/000003.lease", "sub/000004.lease"]


def test_of_two_that_take_at_once_one_gets_it_and_the_other_waits(storage, monkeypatch):
    create, others = WriteLease.create, []

    def another_first(self: WriteLease) -> bool:
        monkeypatch.setattr(WriteLease, "create", create)
        others.append(taken(storage, Waiting()))
        return create(self)

    monkeypatch.setattr(WriteLease, "create", another_first)
    waiting = Waiting()
    waiting.meanwhile = lambda: [other.beat() for other in others]
    with pytest.raises(ContractError, match="is being written by"):
        taken(storage, waiting)
    others[0].require()


def test_a_creation_whose_answer_was_lost_is_known_by_its_content(storage, monkeypatch):
    create = Storage.create_exclusive

    def answer_lost(self, path, data):
        create(self, path, data)
        return create(self, path, data)

    monkeypatch.setattr(Storage, "create_exclusive", answer_lost)
    taken(storage, Waiting()).require()


@pytest.mark.parametrize("content", [b"", b"[1]", b"{"])
def test_what_is_no_lease_counts_as_a_dead_holder(storage, content):
    storage.write_bytes_atomic("sub/000007.lease", content)
    storage.write_bytes_atomic("sub/notes.lease", content)
    assert taken(storage, Waiting()).number == 8


def test_the_block_renews_its_lease_and_ends_it_also_after_an_error(storage, monkeypatch):
    monkeypatch.setattr(lease, "BEAT_S", 0.01)

    def told() -> dict:
        return json.loads(bytes(storage.read_bytes("sub/000001.lease")))

    def block() -> None:
        with leased(storage, "sub"):
            end_s = time.monotonic() + 60
            while told()["beats"] < 2:
                assert time.monotonic() < end_s
            assert not told()["ended"]
            raise KeyError

    with pytest.raises(KeyError):
        block()
    assert told()["ended"]


def test_who_will_hold_it_for_hours_is_refused_as_soon_as_the_holder_is_seen_to_live(storage):
    first = taken(storage, Waiting())
    waiting = Waiting(first.beat)
    with pytest.raises(ContractError, match="is being written by"):
        take(storage, "sub", 60.0, waiting.clock, waiting.wait, refuse_living=True)
    assert waiting.now_s == 1_001.0
    quiet = Waiting()
    assert take(storage, "sub", 60.0, quiet.clock, quiet.wait, refuse_living=True).number == 2


def test_a_holder_that_was_killed_on_this_machine_is_succeeded_at_once_and_nobody_told_to_wait(
    storage, caplog
):
    code = (
        f"import os; from kalshi_platform.storage.lease import take; "
        f"from kalshi_platform.storage.storage import open_storage; "
        f"take(open_storage({storage.uri!r}), 'sub'); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    waiting = Waiting()
    assert (taken(storage, waiting).number, waiting.now_s) == (2, 1_000.0)
    assert caplog.messages == []


@pytest.mark.parametrize("changed", [{"machine": "another boot"}, {"pid": "x"}, {}])
def test_a_holder_of_another_machine_is_never_taken_for_dead_by_its_number(storage, changed):
    told = {"holder": "h", "token": "t", "beats": 0, "ended": False,
            "process": {**lease._process(os.getpid()), "began": "long ago", **changed}}  # fmt: skip
    storage.write_bytes_atomic("sub/000001.lease", json.dumps(told).encode())
    waiting = Waiting()
    taken(storage, waiting)
    assert waiting.now_s == (1_000.0 if not changed else 1_045.0)


def test_a_holder_that_this_user_may_not_see_is_not_taken_for_dead(storage, monkeypatch):
    """/proc mounted with hidepid shows another user's processes to nobody else."""

    def kill(pid, number):
        assert number == 0
        raise PermissionError

    nobody = subprocess.Popen(["true"])
    nobody.wait()
    process = {**lease._process(os.getpid()), "pid": nobody.pid}
    told = {"holder": "h", "token": "t", "beats": 0, "ended": False, "process": process}
    storage.write_bytes_atomic("sub/000001.lease", json.dumps(told).encode())
    monkeypatch.setattr(lease.os, "kill", kill)
    waiting = Waiting()
    taken(storage, waiting)
    assert waiting.now_s == 1_045.0
