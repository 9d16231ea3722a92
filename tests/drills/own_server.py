"""A server of a drill's own: the application on real Serve, in a process that the drill starts and ends."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from made.scripts import ROOT

from serve_deployments.local import free_port


class Server(NamedTuple):
    """A running server."""

    url: str
    metrics_port: int
    child: "subprocess.Popen[str]"

    def command(self, line: str) -> str:
        """Give ``serve_child.py`` a command; returns its answer."""
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()
        return self.child.stdout.readline()

    def replicas(self, deployment: str) -> list[psutil.Process]:
        """Processes of a deployment's replicas, the oldest first."""
        found = []
        for process in psutil.Process(self.child.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if process.cmdline()[:1] and f"ServeReplica:policy:{deployment}" in process.cmdline()[0]:
                    found.append((process.create_time(), process))
        return [process for _, process in sorted(found, key=lambda each: each[0])]

    def resident_mb(self) -> float:
        """Memory of the ingress replicas together, MB; 0.0 where none is there."""
        total = 0.0
        for process in self.replicas("Ingress"):
            with contextlib.suppress(psutil.Error):
                total += process.memory_info().rss / 1e6
        return round(total, 1)


@contextlib.contextmanager
def serving(out: Path, args: dict[str, Any], code: Path = ROOT) -> Iterator[Server]:
    """Serve ``args`` (PolicyAppArgs) by the checkout at ``code``; its log is ``out``/serve.log."""
    (out / "args.json").write_text(json.dumps(args))
    port, metrics_port = free_port("127.0.0.1"), free_port("127.0.0.1")
    script = code / "tests" / "integration" / "serve_child.py"
    with (out / "serve.log").open("w") as log:
        child = subprocess.Popen(
            [sys.executable, str(script), str(out / "args.json"), str(port), str(metrics_port)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=code,
            env={**os.environ, "PYTHONPATH": str(code)}, start_new_session=True,
        )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        if not child.stdout.readline().startswith("ready"):
            raise SystemExit(f"serve did not start: {out / 'serve.log'} says why")
        yield Server(f"http://127.0.0.1:{port}", metrics_port, child)
    finally:
        child.stdin.close()
        try:
            child.wait(60)
        except subprocess.TimeoutExpired:
            for process in [*psutil.Process(child.pid).children(recursive=True), psutil.Process(child.pid)]:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            child.wait()
