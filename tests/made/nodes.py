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
from collections.abc import Callable, Iterator
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

        def begin(again: str) -> _Starting:
            gcs, dashboard, client = (free_port("127.0.0.1") for _ in range(3))
            self.gcs, self.address = f"127.0.0.1:{gcs}", f"http://127.0.0.1:{dashboard}"
            return self._ray(
                self.machine(name + again), name + again, "--head", "--num-cpus=0", f"--port={gcs}",
                "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}",
                f"--ray-client-server-port={client}",
            )  # fmt: skip

        self.head = self._started(begin(""), begin)
        return self.head

    def start_workers(self, *names: str, disk_mib: int | None = None, **environ: str) -> list[Machine]:
        """Start workers of one CPU at once, each on a machine of its own."""

        def begin(name: str) -> _Starting:
            machine = self.machine(name, disk_mib, **environ)
            return self._ray(machine, name, f"--address={self.gcs}", "--num-cpus=1")

        starting = {name: begin(name) for name in names}
        return [self._started(one, lambda again, n=name: begin(n + again)) for name, one in starting.items()]

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
        for machine in self._machines:
            machine.lose()
        for command in self._commands:
            command.wait(timeout=30)
        self.store.stop()

    def _ray(self, machine: Machine, name: str, *words: str) -> _Starting:
        """Start Ray in a machine."""
        ports = (free_port("127.0.0.1") for _ in range(2))
        command = [
            RAY, "start", "--block", "--disable-usage-stats", "--node-ip-address=127.0.0.1",
            f"--dashboard-agent-listen-port={next(ports)}", f"--metrics-export-port={next(ports)}",
            "--min-worker-port=0", "--max-worker-port=0", f"--object-store-memory={_OBJECT_STORE_BYTES}",
            *words,
        ]  # fmt: skip
        log = self.folder / f"{name}.log"
        process = machine.start(command, log)
        self._commands.append(process)
        return _Starting(machine, process, log)

    def _started(self, starting: _Starting, begin: Callable[[str], _Starting]) -> Machine:
        """Machine whose Ray says that it runs; ``begin`` starts another one where Ray's own patience ended.

        Ray waits 30 s for its processes and no option changes that: on a busy computer another try helps.
        """
        for again in ("-again", "-once-more", ""):
            end_s = time.monotonic() + 180
            while _STARTED not in starting.log.read_text() and starting.process.poll() is None:
                assert time.monotonic() < end_s, starting.log.read_text()
                time.sleep(0.1)
            if _STARTED in starting.log.read_text():
                return starting.machine
            assert again, starting.log.read_text()
            assert "timed out during startup" in starting.log.read_text(), starting.log.read_text()
            starting.machine.lose()
            starting = begin(again)
        raise AssertionError


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
