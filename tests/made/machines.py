"""Machines that share nothing, made of namespaces of this one: each has a disk, a home, processes of its own.

Machine    a name, mounts and processes of its own (``unshare``), its own /tmp and /dev/shm; everything else
           is there to read only, so that the code is the same and no byte goes from disk to disk.
           Losing a machine kills every process in it at once, as a power cut does.
Network    the computer's own: machines reach each other and the store by ports, as machines of a cluster do.
Not here   containers, images, other kernels: docker/ has tests of its own.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import psutil

ROOT: Final = Path(__file__).resolve().parents[2]
#: Folders of a machine, all below its own /tmp.
HOME, CACHE, WORK = "/tmp/home", "/tmp/cache", "/tmp/work"

#: $1: name; $2: the disk, a folder of the computer; $3: its size in MiB, empty = that of the computer; then
#: the folders of code, which must be seen although a /tmp of its own may hide them.
_SETUP: Final = """
set -eu
name=$1 disk=$2 size=$3; shift 3
echo "$name" > /proc/sys/kernel/hostname
for kept in "$@"; do exec {fd}<"$kept"; fds+=("$fd"); done
if [ -n "$size" ]; then mount -t tmpfs -o "size=${size}m" tmpfs /tmp; else mount --bind "$disk" /tmp; fi
mount -t tmpfs tmpfs /dev/shm
while read -r _ _ _ _ at options _; do
  case $at in /proc*|/sys*|/dev*|/tmp|/tmp/*) continue ;; esac
  case $options in rw*) mount -o remount,bind,ro "$at" ;; esac
done < /proc/self/mountinfo
for kept in "$@"; do
  fd=${fds[0]}; fds=("${fds[@]:1}")
  case $kept in /tmp/*)
    mkdir -p "$kept"
    mount --no-canonicalize --bind "/proc/self/fd/$fd" "$kept"
    mount -o remount,bind,ro "$kept" ;;
  esac
  exec {fd}<&-
done
mkdir -p /tmp/home /tmp/cache /tmp/work
echo "127.0.0.1 localhost $name" > /tmp/hosts
mount --bind /tmp/hosts /etc/hosts
echo ready
read -r _ || true  # until the process that made the machine ends, however it ends
"""


class Machine:
    """One machine, named as ``folder``; ``disk_mib`` bounds its disk, its processes find ``environ``."""

    def __init__(self, folder: Path, environ: dict[str, str], disk_mib: int | None = None) -> None:
        self.log = folder / "machine.log"
        self._disk = folder / "disk"
        self._disk.mkdir(parents=True)
        programs = str(Path(sys.executable).parent)  # as in a shell that has activated the environment
        self.environ = {
            **{
                name: os.environ[name]
                for name in ("LANG", "OMP_NUM_THREADS", "RAY_worker_niceness")
                if name in os.environ
            },
            "RAY_raylet_start_wait_time_s": "180",  # beside other tests
            "PATH": os.pathsep.join([programs, os.environ.get("PATH", os.defpath)]),
            "HOME": HOME,
            "TMPDIR": "/tmp",
            "KALSHI_PLATFORM_HOME": f"{HOME}/platform",
            "KALSHI_PLATFORM_CACHE": CACHE,
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            **environ,
        }
        size = "" if disk_mib is None else str(disk_mib)
        kept = [str(path) for path in dict.fromkeys((ROOT, Path(sys.prefix), Path(sys.base_prefix)))]
        setup = [folder.name, str(self._disk), size, *kept]
        with self.log.open("wb") as out:
            self._process = subprocess.Popen(
                [*_new_namespaces(), "bash", "-c", _SETUP, "machine", *setup],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=out,
                env=self.environ,
                start_new_session=True,
            )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"ready\n":
            self.lose()
            raise OSError(f"no machine of its own: {self.log.read_text().strip()}")
        (first,) = psutil.Process(self._process.pid).children()
        self._pid = first.pid

    def path(self, inside: str) -> Path:
        """Path under which this computer's processes see the machine's absolute path ``inside``."""
        return Path(f"/proc/{self._pid}/root{inside}")

    def start(
        self, words: Sequence[str], log: Path, cwd: str = WORK, **environ: str
    ) -> subprocess.Popen[bytes]:
        """Start a command in the machine; its output goes to ``log``."""
        with log.open("ab") as out:
            return subprocess.Popen(
                self._entered(words, cwd),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**self.environ, **environ},
            )

    def run(
        self, words: Sequence[str], cwd: str = WORK, timeout_s: float = 120, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the machine to its end."""
        return subprocess.run(
            self._entered(words, cwd),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            env={**self.environ, **environ},
        )

    def lose(self) -> None:
        """Kill all that runs in the machine at once; its disk stays in its folder and no machine sees it."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)  # unshare --kill-child: its first process dies with it
        self._process.wait(timeout=120)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def _entered(self, words: Sequence[str], cwd: str) -> list[str]:
        user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        enter = ["nsenter", f"--target={self._pid}", "--mount", "--uts", "--pid", *user, "--"]
        return [*enter, "sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", cwd, *words]


def _new_namespaces() -> list[str]:
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    apart = ["--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return ["unshare", *user, *apart, "--"]


def why_not() -> str | None:
    """Reason why this computer makes no machines, None where it does."""
    if missing := [name for name in ("unshare", "nsenter", "mount", "bash") if shutil.which(name) is None]:
        return f"{', '.join(missing)} not found"
    with tempfile.TemporaryDirectory() as folder:
        try:
            Machine(Path(folder) / "probe", {}).lose()
        except OSError as error:
            return str(error)
    return None
