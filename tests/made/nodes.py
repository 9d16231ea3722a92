"""A Ray cluster on machines that share nothing (machines.py), with an S3 server between them (s3_server.py).

Head       runs no trial (0 CPUs), as in compose, aws.yaml and kuberay; each worker has one CPU
Desk       the user's own machine: builds the dataset, submits, reads results; no part of the cluster
Token      every Ray port asks for it; each machine has a copy in its own home
Started by the commands of docs/cluster.md with free ports, because other clusters may run on this computer.
"""

import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kalshi_platform.domain import kernel_cache
from made.machines import ROOT, Machine
from made.s3_server import S3Server
from serve_deployments.local import free_port

RAY: Final = str(Path(sys.executable).with_name("ray"))
BUCKETS: Final = ("datasets", "sweeps", "registry")
_STARTED: Final = "Ray runtime started"
_OBJECT_STORE_BYTES: Final = 100_000_000


class Nodes:
    """A cluster and the store beside it; ``close`` ends every process of it."""

    def __init__(self, folder: Path, conditional: str = "") -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._token = secrets.token_hex(32)
        self._machines: list[Machine] = []
        self._commands: list[subprocess.Popen[bytes]] = []
        self.store = S3Server(free_port("127.0.0.1"), folder / "store.log", conditional)
        try:
            self.store.make_buckets(*BUCKETS)
            self.desk = self.machine("desk")
        except BaseException:
            self.close()
            raise
        self.head: Machine | None = None
        self.gcs = self.address = ""

    def machine(self, name: str, disk_mib: int | None = None, **environ: str) -> Machine:
        """Start a machine with the token, the store's address and keys, and compiled kernels."""
        there = {
            **self.store.environ,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": "/tmp/home/.ray/auth_token",
            "RAY_USAGE_STATS_ENABLED": "0",
            **environ,
        }
        made = Machine(self.folder / name, there, disk_mib)
        self._machines.append(made)
        made.path("/tmp/home/.ray").mkdir()
        made.path("/tmp/home/.ray/auth_token").write_text(self._token)
        kernels = kernel_cache.root()
        if kernels.is_dir() and disk_mib is None:
            shutil.copytree(kernels, made.path("/tmp/cache/kernels"))
        return made

    def start_head(self, name: str = "head") -> Machine:
        """Start a head on a machine of its own; the cluster is this head and the workers that join it."""
        self.head = self.machine(name)
        gcs, dashboard = free_port("127.0.0.1"), free_port("127.0.0.1")
        self._ray(
            self.head, name, "--head", "--num-cpus=0", "--dashboard-host=127.0.0.1", f"--port={gcs}",
            f"--dashboard-port={dashboard}", f"--ray-client-server-port={free_port('127.0.0.1')}",
        )  # fmt: skip
        self.gcs, self.address = f"127.0.0.1:{gcs}", f"http://127.0.0.1:{dashboard}"
        return self.head

    def start_worker(self, name: str, disk_mib: int | None = None, **environ: str) -> Machine:
        """Start a worker of one CPU on a machine of its own."""
        worker = self.machine(name, disk_mib, **environ)
        self._ray(worker, name, f"--address={self.gcs}", "--num-cpus=1")
        return worker

    def submit(self, log: Path, experiment: str, *words: str) -> subprocess.Popen[bytes]:
        """Start the documented command on the desk; it follows the job and ends with its status."""
        command = [sys.executable, "cluster/submit.py", experiment, "--address", self.address, "--", *words]
        started = self.desk.start(command, log, cwd=str(ROOT))
        self._commands.append(started)
        return started

    def close(self) -> None:
        """End every machine, every command and the store."""
        for machine in self._machines:
            machine.lose()
        for command in self._commands:
            command.wait(timeout=30)
        self.store.stop()

    def _ray(self, machine: Machine, name: str, *words: str) -> None:
        """Start Ray and wait until it says that it runs."""
        log = self.folder / f"{name}.log"
        ports = (free_port("127.0.0.1") for _ in range(2))
        command = [
            RAY, "start", "--block", "--disable-usage-stats", "--node-ip-address=127.0.0.1",
            f"--dashboard-agent-listen-port={next(ports)}", f"--metrics-export-port={next(ports)}",
            "--min-worker-port=0", "--max-worker-port=0", f"--object-store-memory={_OBJECT_STORE_BYTES}",
            *words,
        ]  # fmt: skip
        started = machine.start(command, log)
        self._commands.append(started)
        end_s = time.monotonic() + 120
        while _STARTED not in log.read_text():
            assert started.poll() is None, log.read_text()
            assert time.monotonic() < end_s, log.read_text()
            time.sleep(0.1)


@contextmanager
def running(folder: Path, workers: int = 2, conditional: str = "") -> Iterator[Nodes]:
    """A head, ``workers`` workers named worker-1 ..., a desk and a store, ended with the block."""
    nodes = Nodes(folder, conditional)
    try:
        nodes.start_head()
        for number in range(1, workers + 1):
            nodes.start_worker(f"worker-{number}")
        yield nodes
    finally:
        nodes.close()
