"""Clusters with something wrong: each is named, and nothing is half taken."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from made.far_sweeps import FarSweep, iterations, record_of
from made.machines import ROOT
from made.nodes import BUCKETS, Nodes
from made.s3_server import S3Server

from serve_deployments.local import free_port

pytestmark = [pytest.mark.ray, pytest.mark.timeout(1200)]

Log = Callable[[str], Path]


@pytest.fixture
def cluster(nodes: Nodes, request: pytest.FixtureRequest) -> Iterator[Nodes]:
    """The store with a new head, lost with all its workers at the end."""
    before = set(nodes.machines)
    nodes.start_head(f"head-{len(nodes.machines)}")
    yield nodes
    for machine in set(nodes.machines) - before:
        machine.lose()


@pytest.mark.parametrize("conditional", ["refuse", "ignore"])
def test_a_bucket_without_conditional_writes_is_refused_before_anything_is_trained(
    cluster: Nodes, log: Log, tmp_path: Path, conditional: str
):
    other = S3Server(free_port("127.0.0.1"), tmp_path / "store.log", conditional)
    try:
        other.make_buckets(*BUCKETS)
        for key in cluster.store.keys("datasets"):
            other.client.put_object(Bucket="datasets", Key=key, Body=cluster.store.read("datasets", key))
        place = f"AWS_ENDPOINT_URL={other.url}"
        sweep = FarSweep(
            cluster, "claim", log(f"conditional-{conditional}"), *iterations(2), environ=(place,)
        )
        assert sweep.wait() != 0
        assert f"s3://sweeps/claim {conditional}s conditional writes (If-None-Match)" in sweep.said
        assert other.keys("sweeps") == other.keys("registry") == []
    finally:
        other.stop()


def test_a_shard_lost_while_training_is_named_and_nothing_is_registered(cluster: Nodes, log: Log):
    (first,) = cluster.start_workers("with-all-shards")
    registered = cluster.store.keys("registry")
    sweep = FarSweep(cluster, "torn", log("shard-lost"), *iterations(400), "--sweep", "max_failures=1")
    sweep.wait_until(lambda: sum(sweep.reached().values()) >= 2)
    shards = [key for key in cluster.store.keys("datasets") if "/features/" in key]
    lost = {key: cluster.store.read("datasets", key) for key in shards}
    assert len(lost) == 12
    try:
        for key in lost:
            cluster.store.client.delete_object(Bucket="datasets", Key=key)
        first.lose()  # and with it the only copy of them that a machine had
        sweep.tell(f"{len(lost)} shards of the dataset lost, and the machine that had copies of them")
        cluster.start_workers("without-shards")
        assert sweep.wait() not in (0, 1)
    finally:
        for key, data in lost.items():
            cluster.store.client.put_object(Bucket="datasets", Key=key, Body=data)
    assert "cannot read s3://datasets/current/" in sweep.said
    assert "it is gone, and the manifest names it: put it back" in sweep.said
    assert "Traceback" not in sweep.said
    assert cluster.store.keys("registry") == registered


def test_a_machine_with_too_little_disk_is_named_and_the_sweep_ends_on_another(cluster: Nodes, log: Log):
    cluster.start_workers("small-disk", disk_mib=24)
    sweep = FarSweep(cluster, "small", log("small-disk"), *iterations(4), "--sweep", "max_failures=30")
    sweep.wait_until(lambda: "GB free, rows on demand take at least" in sweep.said)
    cluster.start_workers("large-disk")
    assert sweep.wait() == 0, sweep.said[-4000:]
    assert "machine small-disk: the disk of /tmp/cache/on-demand has " in sweep.said
    assert {trial.status for trial in record_of(cluster, "small").trials} == {"finished"}


def test_a_node_with_another_version_is_named_and_trains_nothing(cluster: Nodes, log: Log, tmp_path: Path):
    # The first description of a package that Python finds is the one that counts.
    other = f"/tmp/other:{ROOT}"
    (worker,) = cluster.start_workers("other-version", PYTHONPATH=other)
    described = worker.path("/tmp/other/numpy-1.0.0.dist-info")
    described.mkdir(parents=True)
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 1.0.0\n")
    sweep = FarSweep(cluster, "version", log("other-version"), *iterations(4), "--sweep", "max_failures=1")
    assert sweep.wait() not in (0, 1)
    assert "machine other-version runs another program than the driver of this sweep (numpy " in sweep.said
    assert "1.0.0 here" in sweep.said
    assert not [key for key in cluster.store.keys("sweeps", "version/") if "/checkpoints/" in key]
