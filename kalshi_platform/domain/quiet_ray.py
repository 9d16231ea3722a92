"""Ray without its noise: the one place that starts Ray in this program, or joins a cluster.

Owns    every switch of Ray that decides on what a user sees: banners and notices of the driver, lines of the
        raylet and of workers, and Ray's own handler of SIGTERM, which aborts the process with a trace of C++.
Rule    an error of Ray is shown (stderr); a warning, and lines of the raylet, with --verbose only. Errors of
        workers come to the caller as exceptions, and all else lies in the folder :func:`ray_logs`.
Not     an import of Ray: the caller hands its module over, because most programs never need it.
"""

import logging
from typing import Any

from kalshi_platform.domain.errors import PlatformError

_log = logging.getLogger(__name__)


def start_ray(ray: Any, address: str = "local", **options: Any) -> None:
    """Start a Ray of this program's own, or join the one at ``address``; ``options`` are those of ray.init.

    Handlers of signals stay as they are. ConnectionError where there is no Ray at ``address``. A start that
    is interrupted leaves no process behind. PlatformError where Ray's processes do not come up in the
    half minute that Ray gives them, on a machine that is too busy or has no memory left.
    """
    _hush(ray)
    try:
        ray.init(address=address, log_to_driver=False, configure_logging=False, **options)
    except BaseException as error:
        logs = ray_logs(ray)
        ray.shutdown()
        if type(error) is Exception:  # of no kind: so Ray tells of its own processes, and of nothing else
            raise PlatformError(
                f"Ray did not start: {error} This machine may be too busy, or short of memory or disk: make "
                f"room and start again; Ray's logs are in {logs}"
            ) from error
        raise


def ray_logs(ray: Any) -> str:
    """Folder of the logs of the Ray that is running, for the message of a failure; /tmp/ray where none is."""
    node = ray._private.worker._global_node
    return "/tmp/ray" if node is None else str(node.get_logs_dir_path())


def _hush(ray: Any) -> None:
    """Set the switches of this process; a worker of Ray is another process and keeps its own."""
    level = logging.WARNING if _log.isEnabledFor(logging.DEBUG) else logging.ERROR
    logging.getLogger("ray").setLevel(level)
    private = ray._private
    # Else C++ prints a trace on SIGTERM before the handler of Python runs.
    private.ray_constants.RAY_DISABLE_FAILURE_SIGNAL_HANDLER = True
    # Else ray.init replaces the program's handler of SIGTERM by one that exits without a word.
    private.utils.set_sigterm_handler = _keep_handler
    # Else what the raylet reports is printed on stdout, amid the results.
    private.worker.print_to_stdstream = _note


def _keep_handler(handler: Any) -> None:
    """Leave the program's handler of SIGTERM in place."""


def _note(data: dict[str, Any], ignore_prefix: bool = False) -> None:
    """Take lines of the raylet to the log of this program, where --verbose shows them."""
    if _log.isEnabledFor(logging.DEBUG):
        for line in data.get("lines", []):
            _log.warning("ray: %s", line)
