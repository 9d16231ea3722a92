"""The whole way of a small dataset in an S3-compatible store (moto's server on a free port)."""

import itertools
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import boto3
import pytest
from made.fake_import import FakeImport
from made.registry_models import made_policy, made_record
from moto.server import ThreadedMotoServer
from typer.testing import CliRunner

from kalshi_platform.cli.main import app
from kalshi_platform.data.dataset import assemble
from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.data.dataset.grow import add_to_dataset
from kalshi_platform.data.dataset.inspect import find_problems
from kalshi_platform.data.dataset.shard import read_rows
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.domain.errors import ChecksumError, ContractError, DataError, LimitError, StorageError
from kalshi_platform.models.registry.load import load_model
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.storage import lease, patience
from kalshi_platform.storage.storage import open_storage
from serve_deployments.local import free_port

EVENTS = ("EV0", "EV1", "EV2")
_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def endpoint():
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"
    finally:
        server.stop()


@pytest.fixture
def bucket(endpoint, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret-value")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    name = f"bucket-{next(_NUMBERS)}"
    boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket=name)
    return name


@pytest.fixture
def fake(tmp_path, monkeypatch):
    fake = FakeImport(tmp_path, EVENTS)
    fake.install(monkeypatch)
    return fake


def test_files_come_back_and_go_away(bucket):
    storage = open_storage(f"s3://{bucket}/some/prefix")
    storage.write_bytes_atomic("a/b.bin", b"hello")
    storage.write_bytes_atomic("big.bin", bytes(12_000_000))  # above the single-PUT size
    assert bytes(storage.read_bytes("a/b.bin")) == b"hello"
    assert bytes(storage.read_mapped("a/b.bin")) == b"hello"
    assert storage.list_files() == [("a/b.bin", 5), ("big.bin", 12_000_000)]
    assert storage.exists("a/b.bin")
    assert not storage.exists("a/c.bin")
    storage.delete("a/b.bin")
    storage.delete("a/b.bin")
    assert not storage.exists("a/b.bin")


def test_an_object_is_created_once_by_whoever_comes_first(bucket):
    storage = open_storage(f"s3://{bucket}/some/prefix")
    for n in range(5):
        with ThreadPoolExecutor(8) as racers:
            won = list(racers.map(lambda k, n=n: storage.create_exclusive(f"log/{n}", b"%d" % k), range(8)))
        assert won.count(True) == 1
        assert bytes(storage.read_bytes(f"log/{n}")) == b"%d" % won.index(True)
    with pytest.raises(
        StorageError, match=r"cannot create s3://no-such-bucket/x.*create the bucket"
    ) as refused:
        open_storage("s3://no-such-bucket").create_exclusive("x", b"1")
    assert "very-secret-value" not in str(refused.value)


def test_a_store_that_does_not_answer_is_named(bucket, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    storage = open_storage(f"s3://{bucket}", patience_s=1.0)
    with pytest.raises(StorageError, match=r"cannot create s3://.*/x: Could not connect.*AWS_ENDPOINT_URL"):
        storage.create_exclusive("x", b"1")


def test_of_promoters_at_once_in_a_bucket_one_wins_and_the_others_are_told_who(bucket):
    uri = f"s3://{bucket}/registry"
    ids = [Registry(uri).add(*made_record(made_policy(seed=seed))).id for seed in range(3)]
    seen = Registry(uri).aliases()

    def promote(model: str) -> str:
        try:
            return Registry(uri).promote("champion", model, reason="race", seen=seen).model
        except LimitError as err:
            return str(err)

    with ThreadPoolExecutor(3) as promoters:
        answers = list(promoters.map(promote, ids))
    (winner,) = [answer for answer in answers if answer in ids]
    assert Registry(uri).resolve("champion") == winner
    assert [f"made it {winner}" in answer for answer in answers if answer != winner] == [True, True]
    assert load_model(Registry(uri), "champion").record.id == winner
    Registry(uri).promote("champion", next(m for m in ids if m != winner), reason="afterwards")
    assert Registry(uri).rollback("champion", reason="back").model == winner


def test_a_missing_object_and_a_missing_bucket_are_named(bucket):
    with pytest.raises(StorageError, match=f"cannot read s3://{bucket}/x: there is no such object"):
        open_storage(f"s3://{bucket}").read_bytes("x")
    nowhere = open_storage("s3://no-such-bucket/data")
    with pytest.raises(StorageError, match=r"s3://no-such-bucket/data.*create the bucket") as refused:
        nowhere.list_files()
    assert "very-secret-value" not in str(refused.value)
    with pytest.raises(StorageError, match=r"s3://no-such-bucket/data/x.*create the bucket"):
        nowhere.write_bytes_atomic("x", b"1")


def test_a_dataset_in_a_bucket_equals_the_one_in_a_folder(bucket, fake, tmp_path):
    config = BuildConfig(workers=0)
    local = build_dataset([], tmp_path / "out", config)
    assert build_dataset([], f"s3://{bucket}/sets/one", config) == local
    dataset = Dataset.open(f"s3://{bucket}/sets/one")
    assert dataset.digest == local.digest
    assert find_problems(dataset) == []
    here = Dataset.open(tmp_path / "out")
    for event in EVENTS:
        for (_, far), (_, near) in zip(read_rows(dataset, event), read_rows(here, event), strict=True):
            assert far.features.tobytes() == near.features.tobytes()


def test_an_interrupted_build_in_a_bucket_is_resumed(bucket, fake):
    uri = f"s3://{bucket}/set"
    fake.broken = {"EV2"}
    with pytest.raises(DataError, match="row 7"):
        build_dataset([], uri, BuildConfig(workers=0))
    with pytest.raises(DataError, match="no complete dataset"):
        Dataset.open(uri)
    fake.broken, fake.ran = set(), []
    build_dataset([], uri, BuildConfig(workers=0))
    assert fake.ran == ["EV2"]
    assert find_problems(Dataset.open(uri)) == []


def test_a_second_build_into_a_bucket_is_refused_by_name_and_a_killed_ones_place_is_taken(
    bucket, fake, monkeypatch
):
    uri = f"s3://{bucket}/set"
    build_dataset([], uri, BuildConfig(workers=0))
    monkeypatch.setattr(assemble, "leased", partial(lease.leased, patience_s=0.5))
    dead = lease.take(open_storage(uri), ".build")  # it never gives a sign: as one that was killed
    for write in (
        lambda: build_dataset([], uri, BuildConfig(workers=0, overwrite=True)),
        lambda: build_dataset([], uri, BuildConfig(workers=0)),
        lambda: add_to_dataset([], uri, workers=0),
    ):
        with pytest.raises(ContractError, match=f"{uri} is being written by process {os.getpid()} of "):
            write()
    monkeypatch.setattr(lease, "QUIET_S", 0.0)
    assert find_problems(Dataset.open(uri)) == []
    build_dataset([], uri, BuildConfig(workers=0, overwrite=True))
    with pytest.raises(ContractError, match="was taken over by process"):
        dead.require()
    add_to_dataset([], uri, workers=0)  # the build's lease ended with it
    assert find_problems(Dataset.open(uri)) == []


def test_a_damaged_object_is_refused_by_name(bucket, fake):
    uri = f"s3://{bucket}/set"
    manifest = build_dataset([], uri, BuildConfig(workers=0))
    shard = next(s for s in manifest.shards if s.kind == "features")
    open_storage(uri).write_bytes_atomic(shard.path, b"other bytes")
    with pytest.raises(ChecksumError, match=f"{uri}/{shard.path}"):
        read_rows(Dataset.open(uri), shard.event)


@pytest.fixture
def stopped_store(monkeypatch):
    """Starts a store of its own; gives a bucket's address, and calls that stop and start the store."""
    port = free_port("127.0.0.1")  # nobody else is given it while the store is stopped
    servers = [ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)]
    servers[0].start()
    endpoint = f"http://127.0.0.1:{port}"
    for name, value in (
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "very-secret-value"),
        ("AWS_REGION", "us-east-1"),
        (patience.PATIENCE_VARIABLE, "40"),
    ):
        monkeypatch.setenv(name, value)
    boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="stopped")

    def start() -> None:  # moto's objects live in this process and outlast its servers
        servers.append(ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False))
        servers[-1].start()

    yield "s3://stopped/set", servers[0].stop, start
    servers[-1].stop()


def test_a_dataset_is_opened_though_its_store_is_away_for_a_while(stopped_store, fake, monkeypatch, caplog):
    uri, stop, start = stopped_store
    build_dataset([], uri, BuildConfig(workers=0))
    expected = {event: read_rows(Dataset.open(uri), event)[0][1].features.tobytes() for event in EVENTS}
    dataset = Dataset.open(uri)
    stop()
    waited = threading.Event()  # the store is back when somebody has waited for it, not after some time
    log = patience._log.warning
    monkeypatch.setattr(patience._log, "warning", lambda *args: (log(*args), waited.set()))
    returns = threading.Thread(target=lambda: waited.wait(60) and start())
    returns.start()
    found = {event: read_rows(dataset, event)[0][1].features.tobytes() for event in EVENTS}
    returns.join()
    assert found == expected
    said = [record.getMessage() for record in caplog.records if "store" in record.getMessage()]
    assert said[0].startswith(f"waiting for the store to read {uri}/")
    assert said[-1].startswith("the store is back after")


def test_a_store_that_stays_away_is_refused_when_the_patience_is_used_up(stopped_store, monkeypatch):
    uri, stop, start = stopped_store
    monkeypatch.setenv(patience.PATIENCE_VARIABLE, "0.5")
    stop()
    try:
        with pytest.raises(StorageError, match=r"waited 0\.5 s .*check AWS_ENDPOINT_URL"):
            Dataset.open(uri)
    finally:
        start()


def test_the_command_speaks_of_a_missing_bucket_and_exits_with_3(bucket):
    done = CliRunner().invoke(app, ["dataset", "info", "s3://no-such-bucket/data"])
    assert done.exit_code == 3
    assert "s3://no-such-bucket/data" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.ray
def test_recordings_become_a_dataset_in_a_bucket_a_policy_and_a_report(bucket, tmp_path, ray_runtime):
    uri, run = f"s3://{bucket}/simulated", tmp_path / "run"

    def command(*words: str) -> str:
        result = CliRunner().invoke(app, list(words))
        assert result.exit_code == 0, result.output
        return result.stdout

    command("simulate", "--out", str(tmp_path / "recordings"), "--events", "8")
    built = json.loads(
        command("dataset", "build", "--input", str(tmp_path / "recordings"), "--out", uri, "--json")
    )
    assert built["provenance"] == {"simulated": built["markets"]}
    assert json.loads(command("dataset", "info", uri, "--json"))["dataset_digest"] == built["dataset_digest"]
    small = ("train.n_envs=8", "train.fragment_length=16", "train.minibatch=128", "train.torch_threads=1")
    sets = [word for setting in (*small, "env.decision_interval_ms=60000") for word in ("--set", setting)]
    trained = json.loads(
        command(
            *("train", "--dataset", uri, "--out", str(run), "--level", "tiny", "--steps", "256", "--json"),
            *sets,
        )
    )
    assert trained["env_steps"] == 256
    shown = command(
        *("evaluate", "--run", str(run), "--dataset", uri, "--evaluation-seeds", "1"),
        "--json",
    )
    report = json.loads(shown)
    assert report["subject"]["dataset_digest"] == built["dataset_digest"]
    assert report["env"]["decision_interval_ms"] == 60_000  # judged in the environment it was trained in
    assert {b["name"] for b in report["baselines"]} >= {"do_nothing", "random", "join_the_bid"}
