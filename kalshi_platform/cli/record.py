"""``kalshi-platform record``: record the exchange's stream until stopped, and say what a recording covers."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from kalshi_platform.cli.command_app import CommandApp
from kalshi_platform.cli.option_words import option_words
from kalshi_platform.cli.options import (
    AlertsOption,
    CategoryOption,
    EventOption,
    JsonOption,
    MinutesOption,
    PagePortOption,
    SeriesOption,
)
from kalshi_platform.domain.errors import ContractError, LimitError
from kalshi_platform.evaluation.pages.terminal import show, tell

if TYPE_CHECKING:
    from kalshi_platform.trading.recorder.status import RecordingState

app = CommandApp(no_args_is_help=True, invoke_without_command=True)  # the help is the docstring of `record`

_REST: Final = "https://external-api.kalshi.com/trade-api/v2"
_STREAM: Final = "wss://external-api-ws.kalshi.com/trade-api/ws/v2"
#: Markets of the table on a terminal.
_SHOWN: Final = 40


@app.callback()
def record(
    context: typer.Context,
    series: SeriesOption = None,
    event: EventOption = None,
    category: CategoryOption = None,
    out: Annotated[
        str | None,
        typer.Option(help="folder of the recording, or s3://bucket/prefix", show_default=False),
    ] = None,
    spool: Annotated[
        Path | None,
        typer.Option(
            help="folder that segments wait in for their upload  [default: below $KALSHI_PLATFORM_HOME]",
            show_default=False,
        ),
    ] = None,
    minutes: MinutesOption = None,
    page_port: PagePortOption = 0,
    alerts: AlertsOption = None,
    rest_url: Annotated[str, typer.Option(help="root of the exchange's REST calls")] = _REST,
    stream_url: Annotated[str, typer.Option(help="address of the exchange's stream")] = _STREAM,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="a setting, name=value, such as disk.stop_bytes=2000000000; repeatable"),
    ] = None,
) -> None:
    """Record the exchange's stream until Ctrl-C or SIGTERM, and say what a recording covers.

    The key comes from the environment: KALSHI_API_KEY_ID, and KALSHI_PRIVATE_KEY_FILE or KALSHI_PRIVATE_KEY;
    the scope read is enough. Exit 4 where the disk was nearly full. docs/recording.md
    """
    if context.invoked_subcommand is not None:
        return
    from kalshi_platform.cli.options import parse_assignments
    from kalshi_platform.trading.recorder.live import LiveRecording, record_live
    from kalshi_platform.trading.recorder.settings import RecordConfig

    if out is None:
        raise ContractError("--out is missing: name the folder or bucket of the recording")
    wanted = {"series": series or (), "events": event or (), "categories": category or ()}
    with option_words({"RecordConfig": "--set"}):
        config = RecordConfig.parse({"wanted": wanted}).with_values(parse_assignments(settings or []))
    _require_address("--rest-url", rest_url, ("http", "https"))
    _require_address("--stream-url", stream_url, ("ws", "wss"))
    stopped = record_live(
        LiveRecording(
            config=config,
            out=out,
            spool=spool,
            rest_url=rest_url,
            stream_url=stream_url,
            minutes=minutes,
            page_port=page_port,
            alerts=alerts,
        ),
        tell,
    )
    if stopped.startswith("disk"):
        raise LimitError(f"the recorder stopped: {stopped}")
    tell(f"stopped: {stopped}")


def _require_address(option: str, url: str, schemes: tuple[str, ...]) -> None:
    """Refuse an address at which every connection would fail, by its option."""
    from kalshi_platform.trading.exchange.addresses import checked_address

    try:
        checked_address(url, schemes)
    except ValueError as err:
        raise ContractError(f"{option}: {err}") from None


@app.command()
def alert(
    text: Annotated[str, typer.Argument(help="what to tell")] = "a trial: the recorder tells you here",
    alerts: Annotated[
        Path | None,
        typer.Option(
            help="file of apprise addresses, one a line  [default: $KALSHI_PLATFORM_ALERTS]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Send one alert to every address of the recorder's alerts: to try them, or to tell of an ended recorder.

    Exit 1 where one of them was not reached.
    """
    import asyncio

    from kalshi_platform.trading.recorder.alarms import send_once

    n = asyncio.run(send_once(alerts, text))
    tell(f"sent to {n} address{'' if n == 1 else 'es'}")


@app.command()
def status(
    recording: Annotated[Path, typer.Argument(help="folder that kalshi-platform record wrote")],
    as_json: JsonOption = False,
) -> None:
    """Recompute from the files which share of the time each market's book was proven.

    A book is proven while it is known whole: received whole, no number missing since, its connection alive.
    First every segment (a file of recorded lines) is checked against its seal, the file beside it that holds
    its size and checksum. Exit 3 where one is damaged.
    """
    from kalshi_platform.domain.json_text import json_text
    from kalshi_platform.trading.recorder.status import read_state, running_figures

    state, running = read_state(recording), running_figures(recording)
    if as_json:
        sys.stdout.write(json_text(state.as_json() | {"recorder": running}) + "\n")
        return
    show(_table(state))
    for line in _lines(state):
        tell(line)


def _table(state: "RecordingState") -> Any:
    """Coverage by market, worst first."""
    from rich.table import Table

    table = Table("market", "proven", "wanted, s", "holes", "longest hole, s", box=None, pad_edge=False)
    rows = sorted(state.markets, key=lambda market: (market.share, market.ticker))
    for market in rows[:_SHOWN]:
        table.add_row(
            market.ticker, f"{market.share:.2%}", f"{market.wanted_ns / 1e9:,.1f}", str(market.holes),
            f"{market.longest_hole_ns / 1e9:,.1f}",
        )  # fmt: skip
    return table


def _lines(state: "RecordingState") -> list[str]:
    """Lines below the table: totals, and markets that it does not show."""
    from kalshi_platform.trading.recorder.follow.coverage import total_share

    notes = ", ".join(f"{kind} {n}" for kind, n in state.kinds.items())
    share = f"coverage {total_share(state.markets):.2%} of {len(state.markets)} markets"
    coverage = share if state.markets else "no market was subscribed: nothing is covered"
    hidden = len(state.markets) - _SHOWN
    return [
        *([f"{hidden} markets with a better share are not shown; --json lists all"] if hidden > 0 else []),
        f"{coverage}, {state.holes} holes",
        f"{state.frames:,} frames and {state.notes:,} notes ({notes}) in {state.segments} segments, "
        f"{state.n_bytes / 1e6:,.1f} MB, every seal verified; {state.open_segments} unfinished, "
        f"{state.absent} not on this disk, {state.torn_bytes} torn bytes were cut off",
        *(
            [f"{state.damaged_bytes} bytes changed on the disk; what they held is lost, one hole each"]
            if state.damaged_bytes
            else []
        ),
    ]
