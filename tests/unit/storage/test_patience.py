"""Waiting for a store: what passes by itself is repeated until the limit, what stays is refused at once."""

import logging
import pickle

import pytest

from kalshi_platform.domain.errors import ContractError, StorageError
from kalshi_platform.storage.contract import StoreAwayError, StoreFailedError
from kalshi_platform.storage.folder import Folder
from kalshi_platform.storage.patience import (
    DEFAULT_PATIENCE_S,
    PATIENCE_VARIABLE,
    Patience,
    wanted_patience_s,
)
from kalshi_platform.storage.storage import Storage, open_storage

AWAY = StoreAwayError("could not connect", "check that it runs")


class FakeTime:
    """A clock that moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now_s += seconds

    def patience(self, limit_s: float, jitter: float = 1.0) -> Patience:
        return Patience(limit_s, lambda: self.now_s, self.sleep, lambda: jitter)


class FailingStore:
    """A folder with one file whose first ``failures`` operations raise ``error``."""

    def __init__(self, folder, failures: int, error: Exception) -> None:
        self.left, self.error, self.asked = failures, error, 0
        self.folder = Folder(folder)
        self.folder.write("x", b"hello")

    def __getattr__(self, name: str):
        def ask(*args):
            self.asked += 1
            if self.left:
                self.left -= 1
                raise self.error
            return getattr(self.folder, name)(*args)

        return ask


@pytest.mark.parametrize("action", ["read", "map", "write", "create", "list", "exists", "delete"])
def test_a_store_that_fails_for_a_while_is_asked_again(action, tmp_path, caplog):
    time = FakeTime()
    storage = Storage("s3://bucket", FailingStore(tmp_path, 9, AWAY), time.patience(90))
    with caplog.at_level(logging.WARNING):
        result = {
            "read": lambda: bytes(storage.read_bytes("x")),
            "map": lambda: bytes(storage.read_mapped("x")),
            "write": lambda: storage.write_bytes_atomic("x", b"new"),
            "create": lambda: storage.create_exclusive("y", b"new"),
            "list": storage.list_files,
            "exists": lambda: storage.exists("x"),
            "delete": lambda: storage.delete("x"),
        }[action]()
    assert result in (b"hello", None, [("x", 5)], True)
    # 0.25 doubled to 8, then 8: the longest pause
    assert time.pauses == [0.25, 0.5, 1, 2, 4, 8, 8, 8, 8]
    lines = [record.message for record in caplog.records]
    assert len(lines) < 9  # not one a failure
    assert all("s3://bucket" in line for line in lines)
    assert lines[0].endswith("1 failures, up to 90 s more")
    assert lines[-1].startswith("the store is back after 39.8 s")


def test_a_store_that_stays_away_is_given_up_at_the_limit(tmp_path):
    time = FakeTime()
    storage = Storage("s3://bucket", FailingStore(tmp_path, 1_000, AWAY), time.patience(20))
    with pytest.raises(StorageError) as refused:
        storage.read_bytes("x")
    assert str(refused.value) == (
        "cannot read s3://bucket/x: could not connect, waited 20 s (KALSHI_PLATFORM_STORE_PATIENCE_S); "
        "check that it runs"
    )
    assert time.now_s == 20


def test_pauses_are_drawn_from_their_upper_half(tmp_path):
    time = FakeTime()
    Storage("s3://bucket", FailingStore(tmp_path, 3, AWAY), time.patience(90, jitter=0.0)).read_bytes("x")
    assert time.pauses == [0.125, 0.25, 0.5]


def test_a_store_that_refuses_is_asked_once(tmp_path):
    time, store = FakeTime(), FailingStore(tmp_path, 5, StoreFailedError("no such bucket", "create it"))
    with pytest.raises(StorageError, match="cannot read s3://bucket/x: no such bucket; create it"):
        Storage("s3://bucket", store, time.patience(90)).read_bytes("x")
    assert (store.asked, time.pauses) == (1, [])


def test_an_error_of_ours_is_not_repeated(tmp_path):
    time, store = FakeTime(), FailingStore(tmp_path, 5, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        Storage("s3://bucket", store, time.patience(90)).read_bytes("x")
    assert store.asked == 1


def test_a_local_disk_is_never_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: pytest.fail("slept"))
    with pytest.raises(StorageError, match="check the address"):
        open_storage(tmp_path).read_bytes("x")


def test_the_limit_comes_from_the_environment_and_travels_with_the_storage(monkeypatch):
    monkeypatch.delenv(PATIENCE_VARIABLE, raising=False)
    assert wanted_patience_s() == DEFAULT_PATIENCE_S
    monkeypatch.setenv(PATIENCE_VARIABLE, "2.5")
    assert wanted_patience_s() == 2.5
    stored = open_storage("s3://bucket/x", patience_s=7.0)
    assert pickle.loads(pickle.dumps(stored))._patience.limit_s == 7.0


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf"])
def test_a_limit_that_is_no_time_is_refused(text, monkeypatch):
    monkeypatch.setenv(PATIENCE_VARIABLE, text)
    with pytest.raises(ContractError, match=PATIENCE_VARIABLE):
        open_storage("s3://bucket/x")
