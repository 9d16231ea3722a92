"""``kalshi-platform dashboard``: start or find a dashboard, print its address and keep it open.

Every server binds to loopback; from another machine reach it through a tunnel (ssh -L PORT:127.0.0.1:PORT).
"""

import os
import signal
import socket
import subprocess
import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from kalshi_platform.cli.command_app import CommandApp
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.extras import require_extras
from kalshi_platform.domain.places import home
from kalshi_platform.domain.quiet_ray import start_ray

app = CommandApp(no_args_is_help=True, help="Open a dashboard: MLflow, TensorBoard, Ray, or a sweep's page.")

Port = Annotated[int, typer.Option(min=0, max=65_535, help="0 = any free one")]
Browser = Annotated[bool, typer.Option("--browser/--no-browser", help="also open it in a browser")]


@app.command()
def mlflow(port: Port = 5000, browser: Browser = False) -> None:
    """Show every tracked trial in MLflow: parameters, validations, models. Ctrl-C ends it."""
    require_extras("dashboard mlflow", "train", "track")
    from kalshi_platform.learning.tuning.tracking import tracking_uri

    uri = tracking_uri()
    if uri.startswith(("http://", "https://")):
        _show(uri, browser)
        return
    chosen = _free(port)
    # One worker for one reader: four, its default, start slowly on a busy machine, which kills them again.
    command = [
        "-m", "mlflow", "ui", "--backend-store-uri", uri, "--host", "127.0.0.1", "--port", str(chosen),
        "--workers", "1",
    ]  # fmt: skip
    _serve([sys.executable, *command], f"http://127.0.0.1:{chosen}", browser)


@app.command()
def tensorboard(
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="a run, a sweep, or a folder that holds some  [default: ./runs and this program's sweeps]"
        ),
    ] = None,
    port: Port = 6006,
    browser: Browser = False,
) -> None:
    """Show the learning curves of every run and trial as they grow. Ctrl-C ends it."""
    require_extras("dashboard tensorboard", "train")
    logs = _with_curves(folder)
    chosen = _free(port)
    shown = ["--logdir", str(logs[0])]
    if len(logs) > 1:
        shown = ["--logdir_spec", ",".join(f"{path.name}:{path}" for path in logs)]
    command = ["-m", "tensorboard.main", *shown, "--host", "127.0.0.1", "--port", str(chosen)]
    _serve([sys.executable, *command], f"http://127.0.0.1:{chosen}", browser)


@app.command()
def ray(browser: Browser = False) -> None:
    """Show jobs, actors and logs of the Ray that runs on this machine."""
    import ray as ray_

    if not ray_.is_initialized():
        try:
            start_ray(ray_, "auto")
        except ConnectionError:
            raise ContractError(
                "no Ray runs here: start one with ray start --head --dashboard-host 127.0.0.1"
            ) from None
    from ray._private.worker import get_dashboard_url

    url = get_dashboard_url()  # type: ignore[no-untyped-call]
    if not url:
        raise ContractError(
            "this Ray has no dashboard: start it with ray start --head --include-dashboard=true"
        )
    _show(f"http://{url}", browser)


@app.command()
def sweep(
    folder: Annotated[Path, typer.Argument(help="the sweep's folder", show_default=False)],
    browser: Browser = False,
) -> None:
    """Write the page that compares a sweep's trials again, from the files in its folder, and show it."""
    from kalshi_platform.learning.tuning.page import compare_runs, write_page

    html, _ = write_page(compare_runs([folder]), folder)
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
        raise ContractError(
            f"no learning curves below {' or '.join(map(str, places))}: `make run`, `kalshi-platform train` "
            "and every sweep write them beside their runs; start one, or name the folder of one"
        )
    return found


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


def _serve(command: list[str], url: str, browser: bool) -> None:
    """Run a server until Ctrl-C, SIGTERM or its own end; its output goes to stderr, its address to stdout."""
    # Also where this was started in the background: shells let such programs ignore Ctrl-C's signal.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    process = subprocess.Popen(command, stdout=sys.stderr, start_new_session=True)
    try:
        _show(url, browser)
        sys.stdout.flush()
        code = process.wait()
    except KeyboardInterrupt:
        code = 0
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=20)
    if code:
        raise ContractError(f"{command[2]} ended with code {code}: see above")
