"""``kalshi-platform dashboard``: start or find a dashboard, print its address and keep it open.

Every server binds to loopback; from another machine reach it through a tunnel (ssh -L PORT:127.0.0.1:PORT).
"""

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import webbrowser
from pathlib import Path
from typing import Annotated, Final

import typer

from kalshi_platform.cli.command_app import CommandApp
from kalshi_platform.cli.given import refuse_beside
from kalshi_platform.domain.config import digest_of
from kalshi_platform.domain.ending import raise_on_termination
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.extras import require_extras
from kalshi_platform.domain.places import home
from kalshi_platform.domain.program import command_line
from kalshi_platform.evaluation.pages.terminal import tell
from kalshi_platform.storage.storage import open_storage

app = CommandApp(no_args_is_help=True, help="Open a dashboard: MLflow, TensorBoard, Ray, or a sweep's page.")

Port = Annotated[int, typer.Option(min=0, max=65_535, help="0 = any free one")]
#: Seconds between two words on a server that does not answer yet.
_SAY_EVERY_S: Final = 30.0
#: Seconds that a server gets to end by itself.
_PATIENCE_S: Final = 6.0
#: Signals that end a command.
_ENDING: Final = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
Browser = Annotated[bool, typer.Option("--browser/--no-browser", help="also open it in a browser")]


@app.command()
def mlflow(
    context: typer.Context,
    sweep: Annotated[
        str | None,
        typer.Argument(
            help="a sweep with --storage: its folder, or s3://bucket/prefix  [default: every other sweep]"
        ),
    ] = None,
    port: Port = 5000,
    browser: Browser = False,
) -> None:
    """Show every tracked trial in MLflow: settings, score, and how it ended. Ctrl-C ends it."""
    require_extras("dashboard mlflow", "train", "track")
    from kalshi_platform.learning.tuning.tracking_place import place_of_sweep, tracking_place, view_address

    place = place_of_sweep(sweep, copies_of(sweep)) if sweep else tracking_place()
    if place.uri.startswith(("http://", "https://")):
        refuse_beside(context, f"beside MLflow's own server {place.shown}", "none is started here", "port")
        _show(view_address(place, place.shown), browser)
        return
    chosen = _free(port)
    # One worker for one reader, and none of the processes that run GenAI jobs: MLflow starts four and six.
    command = [
        "-m", "mlflow", "ui", "--backend-store-uri", place.uri, "--host", "127.0.0.1", "--port", str(chosen),
        "--workers", "1",
    ]  # fmt: skip
    place.open()
    url = f"http://127.0.0.1:{chosen}"
    _serve(
        [sys.executable, *command], view_address(place, url), browser,
        health=f"{url}/health", env={"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
    )  # fmt: skip


@app.command()
def tensorboard(
    folder: Annotated[
        str | None,
        typer.Argument(
            help="a run, a sweep, a folder that holds some, or s3://bucket/prefix, a sweep's --storage  "
            "[default: ./runs and this program's sweeps]"
        ),
    ] = None,
    port: Port = 6006,
    browser: Browser = False,
) -> None:
    """Show the learning curves of every run and trial as they grow. Ctrl-C ends it."""
    require_extras("dashboard tensorboard", "train")
    if folder is not None and "://" in folder:
        logs = [_curves_of_storage(folder)]
    else:
        logs = _with_curves(None if folder is None else Path(folder))
    chosen = _free(port)
    shown = ["--logdir", str(logs[0])]
    if len(logs) > 1:
        shown = ["--logdir_spec", ",".join(f"{path.name}:{path}" for path in logs)]
    command = [
        "-m",
        "kalshi_platform.cli.curves_server",
        *shown,
        "--host",
        "127.0.0.1",
        "--port",
        str(chosen),
    ]
    url = f"http://127.0.0.1:{chosen}"
    _serve([sys.executable, *command], url, browser, health=url)


@app.command()
def ray(browser: Browser = False) -> None:
    """Show jobs, actors and logs of the Ray that runs on this machine."""
    _show(f"http://{_address_of_ray()}", browser)


def _address_of_ray() -> str:
    """Address of the dashboard of the Ray on this machine, asked of its store: a driver would be a job there.

    ContractError where there is no Ray, where there are several, or where it has no dashboard.
    """
    from ray._private import ray_constants, services
    from ray._raylet import GcsClient  # type: ignore[attr-defined]

    try:
        found = services.canonicalize_bootstrap_address_or_die("auto")
    except ConnectionError as err:
        if "multiple" in str(err):
            raise ContractError(f"{err} Name one with RAY_ADDRESS") from None
        raise ContractError(
            "no Ray runs here: start one with ray start --head --dashboard-host 127.0.0.1"
        ) from None
    space = ray_constants.KV_NAMESPACE_DASHBOARD
    url = GcsClient(address=found).internal_kv_get(b"webui:url", namespace=space)
    if not url:
        raise ContractError(
            "this Ray has no dashboard: start it with ray start --head --include-dashboard=true"
        )
    return str(url.decode())


@app.command()
def sweep(
    folder: Annotated[str, typer.Argument(help="the sweep's folder", show_default=False)],
    browser: Browser = False,
) -> None:
    """Write the page that compares a sweep's trials again, from the files in its folder, and show it."""
    from kalshi_platform.learning.tuning.page import COMPARE_HTML, compare_runs, write_page

    if "://" in folder:
        raise ContractError(
            f"{folder} is a storage: its page is {open_storage(folder).address(COMPARE_HTML)}; copy that "
            "here and open it, or name the folder of the sweep's copies, which the sweep prints at its start"
        )
    place = Path(folder)
    html, _ = write_page(compare_runs([place]), place)
    _show(html.absolute().as_uri(), browser)


def _with_curves(folder: Path | None) -> list[Path]:
    """Folders that hold learning curves: ``folder``, or where runs and sweeps lie by default.

    ContractError where none does; it says how to get some.
    """
    places = [folder] if folder else [Path("runs"), home() / "sweeps"]
    if folder is not None and not folder.is_dir():
        raise ContractError(f"{folder} is not a folder: name a run, a sweep, or a folder that holds some")
    found = [path for path in places if next(path.rglob("events.out.tfevents.*"), None) is not None]
    if not found:
        if folder is not None and (storage := _storage_of(folder)):
            raise ContractError(
                f"{folder} is a copy of a sweep in {storage}, and its curves lie there: "
                f"{command_line('dashboard', 'tensorboard', storage)}"
            )
        raise ContractError(
            f"no learning curves below {' or '.join(map(str, places))}: `make run`, `kalshi-platform train` "
            "and every sweep write them beside their runs; start one, or name the folder of one"
        )
    return found


def _storage_of(folder: Path) -> str:
    """Address of the storage of which ``folder`` is a copy on this machine; "" where it is none."""
    from kalshi_platform.learning.tuning.load_runs import storage_of_copy

    return storage_of_copy(folder)


def _curves_of_storage(uri: str) -> Path:
    """Folder with the learning curves of the runs below ``uri``; ContractError where there are none.

    A run's copy in a storage holds its metrics, of which its curves are made again.
    """
    from kalshi_platform.learning.training.mirror import MIRROR_FILE, Mirror

    storage, folder = open_storage(uri), copies_of(uri)
    ending = f"/{MIRROR_FILE}"
    found = [file.path.removesuffix(ending) for file in storage.list_files() if file.path.endswith(ending)]
    shutil.rmtree(folder / "curves", ignore_errors=True)  # of another sweep, perhaps, that lay there before
    for run in found:
        Mirror(storage.address(run)).pull_curves(folder / "curves" / run)
    if not found:
        raise ContractError(f"no learning curves below {uri}: name the --storage of a sweep that has begun")
    tell.note(
        f"{len(found)} curve{'' if len(found) == 1 else 's'} of {uri} as now; call this again for newer ones"
    )
    return folder / "curves"


def copies_of(uri: str) -> Path:
    """Folder of this machine for what is fetched from ``uri`` to be looked at."""
    return home() / "looked-at" / f"{uri.rstrip('/').rpartition('/')[2]}-{digest_of(uri)[:6]}"


def _free(port: int) -> int:
    """``port`` if nobody listens on it, else an error that says so; any free port for 0."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise ContractError(
                f"port {port} of 127.0.0.1 is taken: end what listens there or choose --port"
            ) from None
        return int(probe.getsockname()[1])


def _show(url: str, browser: bool) -> None:
    typer.echo(url)
    if browser:
        webbrowser.open(url)


def _serve(
    command: list[str], url: str, browser: bool, *, health: str, env: dict[str, str] | None = None
) -> None:
    """Run a server until Ctrl-C, SIGTERM, SIGHUP or its own end; its output goes to stderr.

    Its address ``url`` goes to stdout once ``health`` answers.
    """
    # Also where this was started in the background: shells let such programs ignore Ctrl-C's signal.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    raise_on_termination()
    tell.note(f"starting {command[2]}; its address follows when it answers")
    # A signal while the server is being started would leave it behind: nobody would know its number yet.
    before, process = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING), None
    try:
        process = subprocess.Popen(
            command, stdout=sys.stderr, start_new_session=True, env={**os.environ, **(env or {})},
            preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, before),  # noqa: PLW1509
        )  # fmt: skip
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if _answers(health, process):
            _show(url, browser)
            sys.stdout.flush()
        code = process.wait()
    except KeyboardInterrupt:
        code = 0
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if process is not None and process.poll() is None:
            _end_family(process)
    if code:
        raise ContractError(f"{command[2]} ended with code {code}: see above")


def _end_family(process: "subprocess.Popen[bytes]") -> None:
    """End a server and its workers; one that does not end in _PATIENCE_S is killed."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(timeout=_PATIENCE_S)
    except subprocess.TimeoutExpired:
        tell.note(f"the server did not end in {_PATIENCE_S:g} s and is killed")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(health: str, process: "subprocess.Popen[bytes]") -> bool:
    """Wait until the server answers, and say every half minute that it does not; False where it has ended."""
    said_s = time.monotonic()
    while process.poll() is None:
        try:
            with urllib.request.urlopen(health, timeout=5):
                return True
        except urllib.error.HTTPError:
            return True
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError):
            if time.monotonic() - said_s > _SAY_EVERY_S:
                said_s = time.monotonic()
                tell.note("still starting, as on a busy machine")
            time.sleep(0.2)
    return False
