"""Waiting for a store: what passes by itself is repeated until the limit, what stays is refused at once."""

import logging
import pickle

import pytest
from pyarrow import fs

from kalshi_platform.domain.errors import ContractError, StorageError
from kalshi_platform.storage.patience import (
    DEFAULT_PATIENCE_S,
    PATIENCE_VARIABLE,
    Patience,
    is_transient,
    wanted_patience_s,
)
from kalshi_platform.storage.storage import Storage, open_storage

DOWN = "AWS Error NETWORK_CONNECTION during GetObject operation: curlCode: 7, Couldn't connect to server"


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


class FailingFiles:
    """A file system of one object whose first ``failures`` requests raise ``error``."""

    def __init__(self, failures: int, error: Exception) -> None:
        self.left, self.error, self.asked = failures, error, 0
        self.memory, _ = fs.FileSystem.from_uri("mock://")
        self.memory.create_dir("bucket")
        with self.memory.open_output_stream("bucket/x") as stream:
            stream.write(b"hello")

    def __getattr__(self, name: str):
        def ask(*args):
            self.asked += 1
            if self.left:
                self.left -= 1
                raise self.error
            return getattr(self.memory, name)(*args)

        return ask


def storage_of(files: FailingFiles, patience: Patience) -> Storage:
    return Storage("s3://bucket", files, "bucket", is_local=False, patience=patience)


@pytest.mark.parametrize("action", ["read", "write", "list", "exists", "open", "delete"])
def test_a_store_that_fails_for_a_while_is_asked_again(action, caplog):
    time = FakeTime()
    storage = storage_of(FailingFiles(9, OSError(DOWN)), time.patience(90))
    with caplog.at_level(logging.WARNING):
        result = {
            "read": lambda: bytes(storage.read_bytes("x")),
            "write": lambda: storage.write_bytes_atomic("x", b"new"),
            "list": storage.list_files,
            "exists": lambda: storage.exists("x"),
            "open": lambda: storage.open_input("x").read(2),
            "delete": lambda: storage.delete("x"),
        }[action]()
    assert result in (b"hello", None, [("x", 5)], True, b"he")
    # 0.25 doubled to 8, then 8: the longest pause
    assert time.pauses == [0.25, 0.5, 1, 2, 4, 8, 8, 8, 8]
    lines = [record.message for record in caplog.records]
    assert len(lines) < 9  # not one a failure
    assert all("s3://bucket" in line for line in lines)
    assert lines[-1].startswith("the store is back after 39.8 s")


def test_a_store_that_stays_away_is_given_up_at_the_limit():
    time = FakeTime()
    with pytest.raises(StorageError, match=r"cannot read s3://bucket/x: .*waited 20 s"):
        storage_of(FailingFiles(1_000, OSError(DOWN)), time.patience(20)).read_bytes("x")
    assert time.now_s == 20


def test_pauses_are_drawn_from_their_upper_half():
    time = FakeTime()
    storage_of(FailingFiles(3, OSError("SLOW_DOWN")), time.patience(90, jitter=0.0)).read_bytes("x")
    assert time.pauses == [0.125, 0.25, 0.5]


@pytest.mark.parametrize(
    "error",
    [
        OSError("AWS Error NO_SUCH_BUCKET during PutObject operation"),
        OSError("AWS Error ACCESS_DENIED during HeadObject operation: No response body."),
        OSError("AWS Error INVALID_ACCESS_KEY_ID during GetObject"),
        OSError("AWS Error SIGNATURE_DOES_NOT_MATCH"),
        OSError("AWS Error NETWORK_CONNECTION: curlCode: 60, SSL peer certificate was not OK"),
        FileNotFoundError("SERVICE_UNAVAILABLE is the name of this object"),
    ],
)
def test_what_stays_wrong_is_refused_at_once(error):
    time, files = FakeTime(), FailingFiles(5, error)
    with pytest.raises(StorageError):
        storage_of(files, time.patience(90)).read_bytes("x")
    assert (files.asked, time.pauses) == (1, [])


@pytest.mark.parametrize(
    "text",
    [
        DOWN,
        "AWS Error SLOW_DOWN during PutObject operation",
        "AWS Error UNKNOWN (HTTP status 503): HTTP status code 503",
        "AWS Error INTERNAL_FAILURE",
        "AWS Error SERVICE_UNAVAILABLE",
        "AWS Error REQUEST_TIMEOUT",
        "curlCode: 28, Timeout was reached, operation timed out",
    ],
)
def test_network_overload_time_outs_and_5xx_pass_by_themselves(text):
    assert is_transient(OSError(text))


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
