"""``kalshi-platform doctor``: can this machine build, train and evaluate? If not, how is that mended?

Each check is a function that returns one Checked and changes nothing on the machine. ``--deep`` alone
starts a Ray runtime and writes (and deletes) one small file in the storage.
"""

import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import typer
from rich.console import Console

from kalshi_platform.cli.checked import Checked, Status
from kalshi_platform.cli.command_app import CommandApp
from kalshi_platform.cli.doctor_security import security_checks
from kalshi_platform.cli.given import refuse_beside
from kalshi_platform.cli.options import JsonOption
from kalshi_platform.domain.errors import ExitCode, PlatformError, StorageError
from kalshi_platform.domain.extras import EXTRAS, missing_packages
from kalshi_platform.domain.hidden_user import shown_address
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.domain.quiet_ray import start_ray

GIB: Final = 2**30
MIN_PYTHON: Final = (3, 11)
#: Below the first the check fails, below the second it warns. Training level simple peaks near 2 GiB.
MEMORY_GIB: Final = (2, 4)
DISK_GIB: Final = (1, 10)
SHARED_MEMORY_GIB: Final = 0.5
#: No recording of ours is older; a clock before it was never set. 2026-01-01T00:00:00Z.
OLDEST_SANE_S: Final = 1_767_225_600
NEWEST_SANE_S: Final = 4_102_444_800  # 2100-01-01T00:00:00Z
#: Wall and monotonic clock may differ by this much over the probe, seconds.
CLOCK_TOLERANCE_S: Final = 0.005
CLOCK_PROBE_S: Final = 0.2
CONNECT_TIMEOUT_S: Final = 3.0
PROBE: Final = ".kalshi-platform-doctor"


def by_size(
    name: str, found_gib: float, limits_gib: tuple[float, float], detail: str, advice: str
) -> Checked:
    """Check by size: FAIL below the first limit, WARN below the second, else OK."""
    fail_below, warn_below = limits_gib
    if found_gib >= warn_below:
        return Checked(name, Status.OK, detail)
    status = Status.FAIL if found_gib < fail_below else Status.WARN
    return Checked(name, status, detail, advice)


def check_python() -> Checked:
    """Check the version of the running interpreter."""
    found = ".".join(map(str, sys.version_info[:3]))
    detail = f"{found} at {sys.executable}"
    if sys.version_info[:2] < MIN_PYTHON:
        return Checked("python", Status.FAIL, detail, "install Python 3.11 or later and repeat `make setup`")
    return Checked("python", Status.OK, detail)


def check_packages() -> Checked:
    """Check installed versions against the ranges this package asks for; name the absent extras."""
    from packaging.requirements import Requirement

    required = [Requirement(line) for line in metadata.requires("kalshi-platform") or []]
    wrong = []
    for requirement in required:
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                wrong.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} {version}, needed {requirement.specifier}")
    if wrong:
        return Checked("packages", Status.FAIL, "; ".join(wrong), "run `make setup`")
    if absent := [extra for extra in EXTRAS if missing_packages(extra)]:
        advice = f"only for commands that need them: pip install 'kalshi-platform[{','.join(absent)}]'"
        return Checked("packages", Status.WARN, f"extras not installed: {', '.join(absent)}", advice)
    return Checked("packages", Status.OK, f"{len({r.name for r in required})} packages in their ranges")


def check_torch() -> Checked:
    """Check that torch computes, and on which device."""
    try:
        import torch

        product = float((torch.ones(2, 2) @ torch.ones(2, 2)).sum())
    except (ImportError, OSError, RuntimeError) as err:
        return Checked("torch", Status.FAIL, f"{type(err).__name__}: {err}", "run `make setup` again")
    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "CPU"
    detail = f"{torch.__version__} on {device}, {torch.get_num_threads()} threads"
    if product != 8.0:
        return Checked(
            "torch", Status.FAIL, f"{detail}: 2x2 product sums to {product}, not 8", "reinstall torch"
        )
    return Checked("torch", Status.OK, detail)


def check_numba() -> Checked:
    """Check that a kernel of ours compiles and is right, and that its machine code can be kept."""
    started = time.perf_counter()
    try:
        from kalshi_platform.domain import fees, kernel_cache

        fee_e6 = int(fees.model_fee_e6(fees.TAKER_RATE_E6, 5_000, 100))
    except StorageError as err:
        return Checked("numba", Status.FAIL, str(err), "no command runs without it")
    except Exception as err:  # numba raises its own tree, LLVM plain RuntimeErrors
        return Checked("numba", Status.FAIL, f"{type(err).__name__}: {err}", "run `make setup` again")
    took_s = time.perf_counter() - started
    if fee_e6 != 17_500:
        return Checked(
            "numba", Status.FAIL, f"fee kernel gives {fee_e6}, not 17500", "run `make clean`, repeat"
        )
    detail = f"{metadata.version('numba')}, first kernel ready in {took_s:.2f} s, cache {kernel_cache.root()}"
    return Checked("numba", Status.OK, detail)


def check_ray(deep: bool) -> Checked:
    """Check what Ray needs; with ``deep`` start a runtime, run one task and stop it."""
    shared = Path("/dev/shm")  # where Ray keeps its object store
    free_gib = shutil.disk_usage(shared).free / GIB if shared.is_dir() else 0.0
    detail = f"{metadata.version('ray')}, {free_gib:.1f} GiB shared memory free"
    if deep:
        try:
            detail += f", runtime answered in {_start_ray():.1f} s"
        except Exception as err:  # Ray's start fails in many ways; all mean the same here
            return Checked("ray", Status.FAIL, f"{detail}: {err}", "read /tmp/ray/session_latest/logs")
    if free_gib < SHARED_MEMORY_GIB:
        advice = (
            "give the container more shared memory (docker run --shm-size=2g): objects spill to disk else"
        )
        return Checked("ray", Status.WARN, detail, advice)
    return Checked("ray", Status.OK, detail)


def _process_id() -> int:
    return os.getpid()


def _start_ray() -> float:
    import ray

    started = time.perf_counter()
    start_ray(ray, num_cpus=1, include_dashboard=False)
    try:
        answer = ray.get(ray.remote(_process_id).remote(), timeout=60)
    finally:
        ray.shutdown()
    if answer == os.getpid():
        raise RuntimeError("the task ran in the driver, not in a worker")
    return time.perf_counter() - started


def check_memory() -> Checked:
    """Check the memory this process may still take: the machine's, or less where a container limits it."""
    from kalshi_platform.domain.machine_room import free_memory_bytes

    available = free_memory_bytes()
    gib = available / GIB
    advice = "close other programs, or train with fewer environments and level simple"
    return by_size("memory", gib, MEMORY_GIB, f"{gib:.1f} GiB available", advice)


def check_cores() -> Checked:
    """Check the number of cores this process may run on, as its affinity and a container's quota say."""
    from kalshi_platform.domain.machine_room import own_cores

    cores = own_cores()
    detail = f"{cores} ({platform.machine()})"
    if cores < 2:
        return Checked(
            "cores", Status.WARN, detail, "sampling and learning take turns: expect half the speed"
        )
    return Checked("cores", Status.OK, detail)


def check_plan() -> Checked:
    """Show the plan and reasons of ``train --workers auto`` for level simple on this machine."""
    from kalshi_platform.learning.training.machine import Machine, plan_workers

    try:
        plan = plan_workers(Machine.here(), "simple", bank_bytes=0)
    except PlatformError as err:
        return Checked("plan", Status.FAIL, str(err), "free some memory, or train on another machine")
    return Checked("plan", Status.OK, f"{plan.line()}\n     " + "\n     ".join(plan.because))


def check_disk() -> Checked:
    """Check the free space of the present folder, where runs are written."""
    free_gib = shutil.disk_usage(Path.cwd()).free / GIB
    detail = f"{free_gib:.1f} GiB free at {Path.cwd()}"
    return by_size("disk", free_gib, DISK_GIB, detail, "free some space, or work in another folder")


def check_clock() -> Checked:
    """Check that the wall clock is set, keeps the monotonic clock's pace, and is kept right by NTP."""
    wall, steady = time.time(), time.monotonic()
    time.sleep(CLOCK_PROBE_S)
    drift_s = (time.time() - wall) - (time.monotonic() - steady)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(wall))
    if not OLDEST_SANE_S < wall < NEWEST_SANE_S:
        return Checked("clock", Status.FAIL, f"UTC is {stamp}", "set the clock: every recv_ns comes from it")
    if abs(drift_s) > CLOCK_TOLERANCE_S:
        detail = f"{stamp}; wall clock moved {drift_s * 1e3:+.1f} ms against the monotonic one"
        return Checked("clock", Status.WARN, detail, "let NTP slew, not step, while recording")
    synchronised = _ntp_synchronised()
    if synchronised:
        return Checked("clock", Status.OK, f"{stamp}, kept by NTP")
    state = "not synchronised" if synchronised is False else "synchronisation unknown (no systemd)"
    advice = "no matter for training; before recording or trading run NTP here, or on a container's host"
    return Checked("clock", Status.WARN, f"{stamp}, {state}", advice)


def _ntp_synchronised() -> bool | None:
    """Answer of systemd on NTP; None where there is no systemd to ask."""
    command = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return {"yes": True, "no": False}.get(answer.stdout.strip())


def check_storage(uri: str, deep: bool) -> Checked:
    """Check that the storage at ``uri`` answers; with ``deep`` also that it takes and gives up a file."""
    try:
        from kalshi_platform.storage.storage import open_storage

        storage = open_storage(uri, patience_s=0.0)  # what is down now is what doctor must say
        storage.list_files(PROBE)  # contacts the bucket; nothing lies below this name
        if deep:
            storage.write_bytes_atomic(PROBE, b"kalshi-platform doctor")
            storage.delete(PROBE)
    except PlatformError as err:
        return Checked("storage", Status.FAIL, str(err), "put right what the message names and repeat")
    return Checked("storage", Status.OK, f"{uri} {'takes and gives files' if deep else 'answers'}")


def check_aws_variables() -> Checked:
    """Check that the AWS variables belong together, and that the endpoint they name is there."""
    keys = [k for k in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if os.environ.get(k)]
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    if len(keys) == 1:
        return Checked("aws", Status.FAIL, f"{keys[0]} is set alone", "set both access key and secret key")
    shown = shown_address(endpoint)
    if not endpoint:
        return Checked("aws", Status.OK, "default endpoint; name a bucket with --storage to test it")
    try:
        parts = urlsplit(endpoint)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((parts.hostname or "", port), CONNECT_TIMEOUT_S).close()
    except OSError as err:
        return Checked("aws", Status.FAIL, f"{shown}: {err}", "start the store or correct AWS_ENDPOINT_URL")
    except ValueError:  # its words repeat what stands where a port should: a piece of a password, say
        no_address = f"{shown}: is no address; expected http://host[:port]"
        return Checked("aws", Status.FAIL, no_address, "correct AWS_ENDPOINT_URL; a port is 1 to 65535")
    return Checked("aws", Status.OK, f"{shown} accepts connections")


def examine(storage: str | None, deep: bool) -> Iterator[Checked]:
    """Run every check that applies, in order, each when the caller asks for it."""
    checks: list[Callable[[], Checked]] = [
        check_python, check_packages, check_torch, check_numba, lambda: check_ray(deep),
        check_memory, check_cores, check_plan, check_disk, check_clock,
    ]  # fmt: skip
    if any(name.startswith("AWS_") for name in os.environ):
        checks.append(check_aws_variables)
    if storage is not None:
        checks.append(lambda: check_storage(storage, deep))
    for check in checks:
        yield check()


app = CommandApp(
    help="Check that this machine can build, train and evaluate; say what to do where it cannot."
)


@app.command()
def doctor(
    context: typer.Context,
    as_json: JsonOption = False,
    storage: Annotated[str | None, typer.Option(help="Folder or s3://bucket/prefix to reach.")] = None,
    deep: Annotated[
        bool, typer.Option(help="Start Ray, and write a file to --storage and delete it.")
    ] = False,
    security: Annotated[
        bool, typer.Option(help="Check who could reach what runs here: tokens, sockets, ports; nothing else.")
    ] = False,
) -> None:
    """Check Python, packages, torch, numba, Ray, memory, cores, disk, clock, storage. Exit 1 if any fails."""
    if security:
        refuse_beside(context, "beside --security", "it looks at access alone", "storage", "deep")
    console = Console(highlight=False, soft_wrap=True)
    colours = {Status.OK: "green", Status.WARN: "yellow", Status.FAIL: "red"}
    found = []
    for finding in security_checks() if security else examine(storage, deep):
        found.append(finding)
        if not as_json:
            mark = f"[{colours[finding.status]}]{finding.status:4}[/]"
            console.print(f"{mark} {finding.name:9}", end=" ")
            console.print(
                finding.detail + (f"\n     -> {finding.advice}" if finding.advice else ""), markup=False
            )
    failed = [f.name for f in found if f.status is Status.FAIL]
    if as_json:
        typer.echo(json_text({"ok": not failed, "checks": [asdict(f) for f in found]}))
    if failed:
        typer.echo(f"kalshi-platform: not ready: {', '.join(failed)}", err=True)
        raise typer.Exit(int(ExitCode.FAILED))
