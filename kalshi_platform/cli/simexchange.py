"""``kalshi-platform simexchange``: a simulated exchange on the exchange's own wire, and demo keys for it."""

import asyncio
import contextlib
from pathlib import Path
from typing import Annotated, Any

import typer

from kalshi_platform.cli.command_app import CommandApp
from kalshi_platform.cli.options import Fields, JsonOption, parse_assignments, with_fields
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.domain.units import parse_moment
from kalshi_platform.evaluation.pages.terminal import tell
from kalshi_platform.trading.simserver.config import LAST_START_NS, ServerConfig

app = CommandApp(
    help="Serve a simulated exchange over REST and WebSocket, with faults on demand.", no_args_is_help=True
)


@app.command(name="keys")
def make(
    out: Annotated[Path, typer.Option(help="new folder for the keys", show_default=False)],
) -> None:
    """Make demo keys: RSA and Ed25519 that may trade, and one that may only read."""
    from kalshi_platform.trading.simserver.keys import make_keys

    for key_id, path in make_keys(out).items():
        typer.echo(f"{key_id}  {path}")


@app.command()
@with_fields
def serve(
    *,
    keys: Annotated[Path, typer.Option(help="folder that simexchange keys made", show_default=False)],
    settings: Annotated[
        dict[str, Any],
        Fields(
            ServerConfig,
            *("seed", "speed", "cash_usd", "tier", "weekly_pause", "combos", "first_event"),
            preset="--exchange",
            n_events="--events",
        ),
    ],
    start: Annotated[
        str | None,
        typer.Option(
            help="the exchange's time at the start, such as 2026-11-02T13:00:00Z  [default: now]",
            show_default=False,
        ),
    ] = None,
    more: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="another setting, name=value, such as world.max_duration_s=600; repeatable"
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 = any free one")] = 0,
    admin_port: Annotated[
        int, typer.Option(min=0, max=65_535, help="port of faults and truth; 0 = any free one")
    ] = 0,
    faults: Annotated[
        Path | None, typer.Option(help="schedule of planted faults, JSON  [default: none]")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Serve a simulated exchange on loopback until Ctrl-C."""
    from kalshi_platform.trading.simserver.faults.forms import read_schedule
    from kalshi_platform.trading.simserver.server import ServedAddresses, Server

    schedule = None if faults is None else read_schedule(faults)
    config = ServerConfig.parse(settings | _more_settings(start, more or []))
    tell("opening the first events (the first time kernels are compiled, a minute or two) ...")
    server = Server(config, keys, schedule)

    def show(served: ServedAddresses) -> None:
        if as_json:
            typer.echo(json_text(served._asdict()))
            return
        typer.echo(
            f"REST {served.url}\nWebSocket {served.ws_url}\n"
            f"admin {served.admin_url}\ntoken {served.admin_token}"
        )

    async def run() -> None:
        async with server.serving("127.0.0.1", port, admin_port) as served:
            show(served)
            tell("serving until Ctrl-C")
            await asyncio.Event().wait()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run())


def _more_settings(start: str | None, texts: list[str]) -> dict[str, Any]:
    """Settings of ``--start`` and ``--set``; those of the world are named ``world.NAME``."""
    given = parse_assignments(texts)
    world = {name.removeprefix("world."): given.pop(name) for name in [*given] if name.startswith("world.")}
    told = {} if start is None else {"start_ns": _start_ns(start)}
    if told and "start_ns" in given:
        raise ContractError("--start and --set start_ns both tell the exchange's time: give one of them")
    return told | given | ({"world": world} if world else {})


def _start_ns(start: str) -> int:
    """Nanoseconds of ``--start``; ContractError beyond what a world may begin at."""
    found = parse_moment(start, "--start")
    if found > LAST_START_NS:
        raise ContractError(f"--start {start}: give a time up to 2100-01-01T00:00:00Z")
    return found
