"""``kalshi-platform doctor --security``: who, on this machine and its network, could take a service over.

Looks at what runs now: Ray's token, the administrator's, HAProxy's admin sockets, and every port on which
processes of this program, Ray, HAProxy or MLflow listen. Changes nothing.
"""

import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from kalshi_platform.cli.checked import Checked, Status
from kalshi_platform.domain.listening import listeners, words
from kalshi_platform.domain.owner_only import exposures
from kalshi_platform.domain.places import home
from kalshi_platform.domain.ray_token import faults

#: Words in the name or command line of processes that a service, a training or a dashboard consists of.
_OURS: Final = (
    "haproxy", "raylet", "gcs_server", "ray::", "ray/dashboard", "ray-dashboard", "mlflow", "tensorboard",
    "kalshi-platform", "kalshi_platform", "serve_deployments", "tune_experiments",
)  # fmt: skip
_OTHERS: Final = 0o077
#: Begins of the folders in which Ray and ``kalshi-platform serve`` keep HAProxy's configuration.
_FOLDERS: Final = ("haproxy-serve", "kps-")


def security_checks() -> Iterator[Checked]:
    """Every check of access, each when the caller asks for it."""
    running = list(_running())
    yield check_ray_token()
    yield check_admin_token(home() / "serve-admin-token")
    yield check_haproxy([config for config, _ in running])
    yield check_bounds([config for config, _ in running])
    yield check_orphans(running)
    yield check_listeners()


def check_ray_token() -> Checked:
    """Check that only this user can read Ray's token."""
    if found := faults():
        advice = "start any command that starts Ray: it narrows the mode; a file of another user: remove it"
        return Checked("ray token", Status.FAIL, "; ".join(found), advice)
    return Checked("ray token", Status.OK, "readable by its owner only, or not made yet")


def check_admin_token(path: Path) -> Checked:
    """Check that only this user can read or replace the administrator's token."""
    if found := exposures(path):
        advice = f"chmod 600 {path}; chmod go-w {path.parent}; a file of another user: remove it"
        return Checked("admin token", Status.FAIL, "; ".join(found), advice)
    return Checked("admin token", Status.OK, f"{path} is its owner's alone, or not made yet")


def check_haproxy(configs: list[Path]) -> Checked:
    """Check that no other user can open the admin socket beside any configuration of a running HAProxy."""
    if open_ones := [str(config.parent) for config in configs if not is_private(config.parent)]:
        advice = "end that service and start it by `kalshi-platform serve`, which makes a folder of its own"
        detail = f"other users can open the admin socket in {', '.join(open_ones)}"
        return Checked("haproxy", Status.FAIL, detail, advice)
    return Checked("haproxy", Status.OK, f"{len(configs)} running, each in a folder of its user alone")


def check_bounds(configs: list[Path]) -> Checked:
    """Check that every running HAProxy gives headers a deadline: by itself Ray's waits an hour for one."""
    without = [str(config) for config in configs if not _has_deadline(config)]
    if without:
        detail = f"no deadline for headers and bodies in {', '.join(without)}"
        advice = "start it by `kalshi-platform serve`, or see docs/security.md for a Ray that runs already"
        return Checked("bounds", Status.WARN, detail, advice)
    return Checked("bounds", Status.OK, f"{len(configs)} HAProxy running, each with deadlines for headers")


def _has_deadline(config: Path) -> bool:
    try:
        text = config.read_text()
    except OSError:
        return False
    return "timeout http-request" in text and "option http-buffer-request" in text


def check_orphans(running: list[tuple[Path, psutil.Process]]) -> Checked:
    """Check that every HAProxy that runs has a service: one without goes on holding its ports."""
    alone = [str(process.pid) for _, process in running if _is_orphan(process)]
    if alone:
        detail = f"HAProxy without a service: process {', '.join(alone)}"
        return Checked("orphans", Status.FAIL, detail, f"kill {' '.join(alone)}")
    return Checked("orphans", Status.OK, "no HAProxy without a service")


def _is_orphan(process: psutil.Process) -> bool:
    """Return True where ``process`` is no child of Ray's: init or a desktop's session adopted it."""
    try:
        parent = process.parent()
        return parent is None or "ray::" not in " ".join([parent.name(), *parent.cmdline()])
    except psutil.Error:  # gone, or not ours to look at
        return False


def check_listeners() -> Checked:
    """List the ports of our processes that other machines can reach."""
    found = listeners(process for process in psutil.process_iter() if _is_ours(process))
    reached = [each for each in found if not each.is_loopback]
    if reached:
        advice = "let a firewall admit the service's own port only; Ray's ports ask for its token"
        return Checked("ports", Status.WARN, f"other machines can reach {words(reached)}", advice)
    return Checked("ports", Status.OK, f"on loopback only: {words(found)}")


def is_private(folder: Path) -> bool:
    """True where ``folder``, or one above it, opens for its owner alone."""
    for place in (folder, *folder.parents):
        try:
            if not stat.S_IMODE(place.stat().st_mode) & _OTHERS:
                return True
        except FileNotFoundError:
            continue
        except PermissionError:  # one above it is closed to this user already
            return True
    return False


def _running() -> Iterator[tuple[Path, psutil.Process]]:
    """(Configuration, process) of every HAProxy on this machine that Ray started, and that this user sees."""
    for process in psutil.process_iter():
        with suppress(psutil.Error, ValueError, IndexError):
            if process.name() == "haproxy":
                line = process.cmdline()
                config = Path(process.cwd(), line[line.index("-f") + 1])
                if is_of_ray(config):
                    yield config, process


def is_of_ray(config: Path) -> bool:
    """Return True where ``config`` is a configuration that Ray wrote: other HAProxy are not our business."""
    try:
        return "frontend http_frontend" in config.read_text(errors="replace")
    except PermissionError:  # another user's, and closed to this one
        return False
    except OSError:  # deleted meanwhile
        return any(part.startswith(_FOLDERS) for part in config.parts)


def _is_ours(process: psutil.Process) -> bool:
    try:
        text = " ".join([process.name(), *process.cmdline()])
    except psutil.Error:
        return False
    return any(name in text for name in _OURS)
