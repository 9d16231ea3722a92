"""Storage by address: what is written is read back, and messages that name the file, reason and remedy."""

import multiprocessing
import os
import pickle
from typing import Any

import pytest
from botocore.httpsession import URLLib3Session

from kalshi_platform.domain.errors import ContractError, StorageError
from kalshi_platform.storage.storage import open_storage


def test_what_is_written_is_read_back(tmp_path):
    storage = open_storage(tmp_path / "new")
    storage.write_bytes_atomic("a/b.bin", b"hello")
    assert bytes(storage.read_bytes("a/b.bin")) == b"hello"
    assert bytes(storage.read_mapped("a/b.bin")) == b"hello"
    assert storage.exists("a/b.bin")
    assert not storage.exists("a")
    assert storage.list_files() == [("a/b.bin", 5)]
    storage.delete("a/b.bin")
    storage.delete("a/b.bin")
    assert storage.list_files() == []


def test_file_addresses_and_plain_folders_are_one_place(tmp_path):
    open_storage(tmp_path).write_bytes_atomic("x", b"1")
    assert open_storage(f"file://{tmp_path}").exists("x")


def test_a_storage_is_pickled_as_its_address(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret-value")
    data = pickle.dumps(open_storage("s3://bucket/data"))
    assert b"very-secret-value" not in data
    assert pickle.loads(data).uri == "s3://bucket/data"


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("gs://bucket/x", "scheme 'gs' is unknown"),
        ("s3://", "no bucket name"),
        (
            "s3://Bad_Bucket/x",
            "'s3://Bad_Bucket/x': 'Bad_Bucket' is no bucket name .3 to 63 lower-case letters",
        ),
        ("s3://My_Bucket/runs@v2", "'s3://My_Bucket/runs@v2': 'My_Bucket' is no bucket name"),
        ("s3://a/b", "'s3://a/b': 'a' is no bucket name"),
        ("s3:///runs/v2", "'s3:///runs/v2': no bucket name"),
        ("", "is empty"),
    ],
)
def test_an_address_of_another_kind_is_refused(uri, message):
    with pytest.raises(ContractError, match=message):
        open_storage(uri)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("s3://AKID:secret-in-address@bucket/data", "s3://..."),
        ("S3://AKID:secret-in-address@bucket/data", "S3://...@bucket/data"),
        ("s3:/AKID:secret-in-address@bucket/data", "s3:/...@bucket/data"),
        ("s3://AKID:secret-in/address@bucket/data", "s3://...@bucket/data"),
        ("s3://AKID:9/secret-in-address@bucket/data", "s3://...@bucket/data"),
        ("s3://AK/ID:secret-in-address@bucket/data", "s3://...@bucket/data"),
        ("s3:///AKID:secret-in-address@bucket/data", "s3:///...@bucket/data"),
        ("https://AKID:secret-in-address@minio.example/bucket", "https://...@minio.example/bucket"),
    ],
)
def test_keys_in_an_address_are_refused_without_being_repeated(address, shown):
    with pytest.raises(ContractError) as refused:
        open_storage(address)
    assert "secret-in" not in str(refused.value)
    assert shown in str(refused.value)


def test_a_refused_address_is_repeated_in_bounds():
    with pytest.raises(ContractError) as refused:
        open_storage("gs://" + "x" * 10_000)
    assert len(str(refused.value)) <= 500


def test_a_path_cannot_leave_the_root(tmp_path):
    with pytest.raises(ContractError, match="leaves"):
        open_storage(tmp_path / "in").write_bytes_atomic("../out", b"x")


def test_reading_what_is_not_there_names_the_file(tmp_path):
    with pytest.raises(StorageError, match=rf"cannot read {tmp_path}/nothing: .*check the address"):
        open_storage(tmp_path).read_bytes("nothing")
    with pytest.raises(StorageError, match=rf"cannot read {tmp_path}/nothing"):
        open_storage(tmp_path).read_mapped("nothing")


def test_an_unreachable_store_is_refused_after_one_request_without_its_keys(monkeypatch):
    asked: list[Any] = []
    send = URLLib3Session.send

    def counted(*request: Any) -> Any:
        asked.append(request)
        return send(*request)

    monkeypatch.setattr(URLLib3Session, "send", counted)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("KALSHI_PLATFORM_STORE_PATIENCE_S", "0")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret-value")
    storage = open_storage("s3://bucket/data")
    for attempt in (
        lambda: storage.read_bytes("x"),
        lambda: storage.write_bytes_atomic("x", b"1"),
        lambda: storage.exists("x"),
        storage.list_files,
    ):
        asked.clear()
        with pytest.raises(StorageError) as refused:
            attempt()
        assert len(asked) == 1  # the kernel refuses it at once, and nobody waits for a second
        message = str(refused.value)
        assert "s3://bucket/data" in message
        assert "127.0.0.1:9" in message
        assert "AWS_ENDPOINT_URL" in message
        assert "very-secret-value" not in message
        assert "AKIDEXAMPLE" not in message


def test_a_file_is_created_once_and_never_replaced(tmp_path):
    storage = open_storage(tmp_path / "new")
    assert storage.create_exclusive("log/000001.json", b"first") is True
    assert storage.create_exclusive("log/000001.json", b"second") is False
    assert bytes(storage.read_bytes("log/000001.json")) == b"first"
    assert storage.list_files() == [("log/000001.json", 5)]  # no leftover of the loser
    with pytest.raises(ContractError, match="leaves"):
        storage.create_exclusive("../x", b"1")


def test_a_file_that_cannot_be_created_is_an_error_and_not_a_lost_race(tmp_path):
    (tmp_path / "log").write_bytes(b"")
    with pytest.raises(StorageError, match=r"cannot create .*log/1\.json: .*check the address"):
        open_storage(tmp_path).create_exclusive("log/1.json", b"1")


def create_many(uri, mark, start, answers):
    storage = open_storage(uri)
    start.wait()
    answers.put((mark, [n for n in range(40) if storage.create_exclusive(f"{n:03d}", mark * 1_000)]))


def test_two_racing_processes_never_both_create_a_file(tmp_path):
    context = multiprocessing.get_context("spawn")
    start, answers = context.Barrier(2), context.Queue()
    racers = [
        context.Process(target=create_many, args=(str(tmp_path), mark, start, answers))
        for mark in (b"a", b"b")
    ]
    for racer in racers:
        racer.start()
    won = dict(answers.get(timeout=120) for _ in racers)
    for racer in racers:
        racer.join()
    assert sorted(won[b"a"] + won[b"b"]) == list(range(40))
    storage = open_storage(tmp_path)
    for mark, numbers in won.items():
        assert {bytes(storage.read_bytes(f"{n:03d}")) for n in numbers} <= {mark * 1_000}
    assert len(storage.list_files()) == 40


@pytest.mark.parametrize("name", ["a\0b", "a/\ud800", "\0"])
def test_a_name_that_no_file_can_have_is_refused_wherever_it_came_from(tmp_path, name):
    storage = open_storage(tmp_path)
    for act in (storage.exists, storage.read_bytes, storage.read_mapped, storage.delete, storage.list_files):
        with pytest.raises(ContractError, match="holds a character that no name of a file can have"):
            act(name)
    with pytest.raises(ContractError, match="no name of a file"):
        open_storage(f"{tmp_path}/{name}")


def test_a_name_in_a_url_and_one_that_is_no_text_are_read_as_the_system_does(tmp_path):
    with pytest.raises(ContractError, match="no name of a file"):
        open_storage("file:///tmp/a%00b")
    (tmp_path / os.fsdecode(b"\xff")).write_bytes(b"x")
    storage = open_storage(tmp_path)
    assert [storage.exists(file.path) for file in storage.list_files()] == [True]


def test_the_home_of_nobody_is_refused():
    with pytest.raises(ContractError, match="there is no such user here"):
        open_storage("~no-such-user/registry")
