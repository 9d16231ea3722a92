"""A Ray cluster on machines that share nothing (machines.py), with an S3 server between them (s3_server.py).

Head       runs no trial (0 CPUs), as in compose, aws.yaml and kuberay; each worker has one CPU
Desk       the user's own machine: builds the dataset, submits, reads results; no part of the cluster
Token      every Ray port asks for it; each machine has a copy in its own home
Started by the commands of docs/cluster.md with free ports, because other clusters may run on this computer.
"""

import re
import secrets
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from kalshi_platform.domain import kernel_cache
from made.machines import ROOT, Machine
from made.s3_server import S3Server
from serve_deployments.local import free_port

RAY: Final = str(Path(sys.executable).with_name("ray"))
PAGE: Final = ROOT / "docs" / "cluster.md"
BUCKETS: Final = ("datasets", "sweeps", "registry")
#: Named, because a raylet waits 15 s, not longer, for an agent that chooses its port.
_PORTS: Final = (
    "--dashboard-agent-grpc-port",
    "--dashboard-agent-listen-port",
    "--metrics-export-port",
    "--runtime-env-agent-port",
)
#: Ray gives up after 30 s otherwise, which a busy computer needs to start Python six times.
_PATIENCE: Final = {"RAY_raylet_start_wait_time_s": "150", "RAY_agent_register_timeout_ms": "150000"}
_STARTED: Final = "Ray runtime started"
_OBJECT_STORE_BYTES: Final = 100_000_000


class _Starting(NamedTuple):
    """A machine on which Ray is starting, and the log in which Ray says so."""

    machine: Machine
    process: subprocess.Popen[bytes]
    log: Path


class Nodes:
    """A cluster and the store beside it; ``close`` ends every process of it."""

    def __init__(self, folder: Path, conditional: str = "") -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._token = secrets.token_hex(32)
        self.machines: list[Machine] = []
        self._commands: list[subprocess.Popen[bytes]] = []
        self.store = S3Server(free_port("127.0.0.1"), folder / "store.log", conditional)
        try:
            self.store.make_buckets(*BUCKETS)
            self.desk = self.machine("desk")
        except BaseException:
            self.close()
            raise
        self.gcs = self.address = ""

    def machine(self, name: str, disk_mib: int | None = None, **environ: str) -> Machine:
        """Start a machine with the token, the store's address and keys, and compiled kernels."""
        there = {
            **self.store.environ,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": "/tmp/home/.ray/auth_token",
            "RAY_USAGE_STATS_ENABLED": "0",
            **_PATIENCE,
            **environ,
        }
        made = Machine(self.folder / name, there, disk_mib)
        self.machines.append(made)
        made.path("/tmp/home/.ray").mkdir()
        made.path("/tmp/home/.ray/auth_token").write_text(self._token)
        kernels = kernel_cache.root()
        if kernels.is_dir() and disk_mib is None:
            shutil.copytree(kernels, made.path("/tmp/cache/kernels"))
        return made

    def start_head(self, name: str = "head") -> Machine:
        """Start a head on a machine of its own; the cluster is this head and the workers that join it."""
        gcs, dashboard, client = (free_port("127.0.0.1") for _ in range(3))
        self.gcs, self.address = f"127.0.0.1:{gcs}", f"http://127.0.0.1:{dashboard}"
        return self._started(
            self._ray(
                self.machine(name), name, "--head", "--num-cpus=0", f"--port={gcs}",
                "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}",
                f"--ray-client-server-port={client}",
            )
        )  # fmt: skip

    def start_workers(self, *names: str, disk_mib: int | None = None, **environ: str) -> list[Machine]:
        """Start workers of one CPU at once, each on a machine of its own."""
        joining = (f"--address={self.gcs}", "--num-cpus=1")
        starting = [self._ray(self.machine(name, disk_mib, **environ), name, *joining) for name in names]
        return [self._started(one) for one in starting]

    def submit(self, log: Path, *words: str) -> subprocess.Popen[bytes]:
        """Start ``cluster/submit.py`` on the desk, from the checkout, as a user does; ``words`` go to it.

        It follows the job and ends with its status.
        """
        command = [sys.executable, "cluster/submit.py", "--address", self.address, *words]
        started = self.desk.start(command, log, cwd=str(ROOT))
        self._commands.append(started)
        return started

    def close(self) -> None:
        """End every machine, every command and the store."""
        for machine in self.machines:
            machine.lose()
        for command in self._commands:
            command.wait(timeout=120)
        self.store.stop()

    def _ray(self, machine: Machine, name: str, *words: str) -> _Starting:
        """Start Ray in a machine."""
        ports = [f"{option}={free_port('127.0.0.1')}" for option in _PORTS]
        command = [
            RAY, "start", "--block", "--disable-usage-stats", "--node-ip-address=127.0.0.1", *ports,
            "--min-worker-port=0", "--max-worker-port=0", f"--object-store-memory={_OBJECT_STORE_BYTES}",
            *words,
        ]  # fmt: skip
        log = self.folder / f"{name}.log"
        process = machine.start(command, log)
        self._commands.append(process)
        return _Starting(machine, process, log)

    def _started(self, starting: _Starting) -> Machine:
        """Machine whose Ray says that it runs."""
        end_s = time.monotonic() + 180
        while _STARTED not in starting.log.read_text():
            assert starting.process.poll() is None, starting.log.read_text()
            assert time.monotonic() < end_s, starting.log.read_text()
            time.sleep(0.1)
        return starting.machine


@contextmanager
def running(folder: Path, *workers: str) -> Iterator[Nodes]:
    """Run a head, workers of these names, a desk and a store, which end with the block."""
    nodes = Nodes(folder)
    try:
        nodes.start_head()
        nodes.start_workers(*workers)
        yield nodes
    finally:
        nodes.close()


def documented(start: str) -> list[str]:
    """Words after ``start`` of the first command of docs/cluster.md that begins so."""
    found = re.search(rf"^{re.escape(start)}(.*)$", PAGE.read_text(), re.MULTILINE)
    assert found is not None, start
    return shlex.split(found[1])
