"""Ray without its noise: the one place that starts Ray in this program, or joins a cluster.

Start   Ray gives its raylet half a minute to come up, and the raylet its agents 15 s before it dies. Beside
        other programs on two cores both took longer: a raylet that lives is waited for, and a Ray whose
        processes did not come up is started again.
Owns    every switch of Ray that decides on what a user sees: banners and notices of the driver, lines of the
        raylet and of workers, and Ray's own handler of SIGTERM, which aborts the process with a trace of C++.
Rule    an error of Ray is shown (stderr); a warning, and lines of the raylet, with --verbose only. Errors of
        workers come to the caller as exceptions, and all else lies in the folder :func:`ray_logs`.
Not     an import of Ray: the caller hands its module over, because most programs never need it.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import psutil

from kalshi_platform.domain.errors import PlatformError
from kalshi_platform.domain.family import descendants, end_those_left
from kalshi_platform.domain.ray_token import keep_to_owner
from kalshi_platform.domain.saying import note, program
from kalshi_platform.domain.stuck import signal_ends_within

_log = logging.getLogger(__name__)
#: Seconds that Ray's processes get to end by themselves once their head has ended.
_AGENTS_S: Final = 2.0
#: Seconds from a signal on that the start gets to end by itself; it waits in C++ for up to half a minute.
_STUCK_S: Final = 5.0
#: Seconds that Ray's raylet gets to come up.
_START_S: Final = 180.0
_TRIES: Final = 3


def _always() -> bool:
    """Is wanted until it runs."""
    return True


def start_ray(
    ray: Any, address: str = "local", *, wanted: Callable[[], bool] = _always, **options: Any
) -> None:
    """Start a Ray of this program's own, or join the one at ``address``; ``options`` are those of ray.init.

    ``wanted``: asked again and again; where it says no, a Ray that is not up yet is given up.

    Handlers of signals stay as they are. ConnectionError where there is no Ray at ``address``. A start that
    is interrupted leaves no process behind. PlatformError where Ray's processes do not come up within three
    minutes, or die, three times: the machine is too busy or has no memory left.
    """
    _hush(ray)
    if address == "local" and (narrowed := keep_to_owner()):
        note(program())(narrowed)
    before = descendants()

    def end_begun() -> None:
        end_those_left([process for process in descendants() if process not in before], _AGENTS_S)

    for number in range(1, _TRIES + 1):
        try:
            with signal_ends_within(_STUCK_S, end_begun), patient(ray, wanted):
                _init(ray, address, end_begun, options)
        except PlatformError as error:
            if number == _TRIES or address != "local" or not wanted():
                raise
            note(program())(f"Ray did not start: {error.__cause__} Try {number + 1} of {_TRIES}.")
        else:
            return


@contextmanager
def patient(ray: Any, wanted: Callable[[], bool] = _always) -> Iterator[None]:
    """Let raylets that are started within this context take three minutes, while they live and are wanted."""
    services = ray._private.services
    ask = services.get_node

    def get_node(gcs_address: str, node_id: str) -> Any:
        due_s = time.monotonic() + _START_S
        while True:
            try:
                return ask(gcs_address, node_id)
            except RuntimeError:  # not there yet
                if time.monotonic() > due_s or not wanted() or not _has_raylet():
                    raise
                time.sleep(0.1)

    services.get_node = get_node
    try:
        yield
    finally:
        services.get_node = ask


def _has_raylet() -> bool:
    """True where a process that this one began is a raylet, and lives."""
    for process in descendants():
        with suppress(psutil.NoSuchProcess):
            if process.name() == "raylet" and process.status() != psutil.STATUS_ZOMBIE:
                return True
    return False


def _init(ray: Any, address: str, end_begun: Callable[[], None], options: dict[str, Any]) -> None:
    """Call ``ray.init``; what it began is ended where it fails."""
    try:
        ray.init(address=address, log_to_driver=False, configure_logging=False, **options)
    except BaseException as error:
        logs = ray_logs(ray)
        ray.shutdown()
        end_begun()
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
