"""``kalshi-platform trade``: trade with a registered model, on paper or at an exchange."""

import sys
from pathlib import Path
from typing import Annotated, Any, Final

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
from kalshi_platform.evaluation.pages.terminal import tell

app = CommandApp(no_args_is_help=True, invoke_without_command=True)  # the help is the docstring of `trade`

_MODES: Final = ("simulated", "paper", "demo", "live")


_ModeOption = Annotated[
    str | None,
    typer.Option(
        "--mode", help=f"{', '.join(_MODES)}; docs/live.md says what each may do", show_default=False
    ),
]
_OutOption = Annotated[
    Path | None,
    typer.Option("--out", help="folder of the session: recording, snapshot, report", show_default=False),
]
_RegistryOption = Annotated[
    str | None,
    typer.Option("--registry", help="registry of models: a folder or s3://bucket/prefix", show_default=False),
]
_ModelOption = Annotated[
    str | None,
    typer.Option("--model", help="alias to follow  [default: champion, else challenger]", show_default=False),
]
_LimitsOption = Annotated[
    Path | None,
    typer.Option("--limits", help="TOML file of limits; demo and live need one", show_default=False),
]
_RestUrlOption = Annotated[
    str | None,
    typer.Option(
        "--rest-url", help="root of the exchange's REST calls  [default: of the mode]", show_default=False
    ),
]
_StreamUrlOption = Annotated[
    str | None,
    typer.Option(
        "--stream-url", help="address of the exchange's stream  [default: of the mode]", show_default=False
    ),
]
_ResumeOption = Annotated[
    str,
    typer.Option("--resume", help="why an account that was halted may trade again", show_default=False),
]
_AcceptLossesOption = Annotated[
    bool,
    typer.Option(
        "--accept-losses",
        help="with --resume: the losses that stopped trading are taken; day, drawdown and streak count anew",
    ),
]
_RealMoneyOption = Annotated[
    bool, typer.Option("--real-money", help="said with --mode live: orders cost real money")
]
_TuiOption = Annotated[
    bool | None,
    typer.Option(
        "--tui/--plain",
        help="a screen with keys to halt, reduce, cancel, or lines  [default: --tui on a terminal "
        "without --json]",
        show_default=False,
    ),
]
_SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="a setting, name=value, such as hz=0 (decide at every message); repeatable"),
]


@app.callback()
def trade(
    context: typer.Context,
    mode: _ModeOption = None,
    series: SeriesOption = None,
    event: EventOption = None,
    category: CategoryOption = None,
    out: _OutOption = None,
    registry: _RegistryOption = None,
    model: _ModelOption = None,
    minutes: MinutesOption = None,
    limits: _LimitsOption = None,
    rest_url: _RestUrlOption = None,
    stream_url: _StreamUrlOption = None,
    resume: _ResumeOption = "",
    accept_losses: _AcceptLossesOption = False,
    real_money: _RealMoneyOption = False,
    page_port: PagePortOption = 0,
    alerts: AlertsOption = None,
    tui: _TuiOption = None,
    settings: _SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Trade with a registered model until q, Ctrl-C or SIGTERM, then write the session's report.

    The key comes from the environment: KALSHI_API_KEY_ID, and KALSHI_PRIVATE_KEY_FILE or KALSHI_PRIVATE_KEY.
    Mode paper takes a key that may only read. docs/live.md
    """
    if context.invoked_subcommand is not None:
        return
    from kalshi_platform.trading.session.asked_session import AskedSession
    from kalshi_platform.trading.session.live_session import trade as trade_live

    if out is None:
        raise ContractError("--out is missing: name the folder of the session")
    if accept_losses and not resume:
        raise ContractError("--accept-losses without --resume: say why trading may go on, --resume WHY")
    chosen = _mode(mode, rest_url, stream_url, limits, resume=resume, real_money=real_money)
    on_screen, limits_read = _on_screen(tui, as_json), _limits(limits)
    named, alias = _model(registry, model)
    asked = AskedSession(
        mode=chosen, config=_settings(settings), record=_record(series, event, category), out=out,
        registry=named, alias=alias, minutes=minutes, alerts=alerts, page_port=page_port, limits=limits_read,
        resume=resume, accept_losses=accept_losses, tui=on_screen, confirm=_confirm,
    )  # fmt: skip
    stopped = trade_live(asked, tell)
    tell(f"stopped: {stopped}")
    _report(out, as_json)
    if stopped.startswith("disk"):
        raise LimitError(f"the session stopped: {stopped}")


def _limits(path: Path | None) -> Any:
    """Limits of a file, else their defaults."""
    from kalshi_platform.trading.execution.risk.limits import RiskLimits, read_limits

    return RiskLimits() if path is None else read_limits(path)


def _settings(words: list[str] | None) -> Any:
    """Settings of the session from ``name=value``."""
    from kalshi_platform.cli.options import parse_assignments
    from kalshi_platform.trading.session.session_config import TradingSessionConfig

    with option_words({"TradingSessionConfig": "--set"}):
        return TradingSessionConfig().with_values(parse_assignments(words or []))


def _record(series: list[str] | None, event: list[str] | None, category: list[str] | None) -> Any:
    """Settings of the recording: the markets that are wanted."""
    from kalshi_platform.trading.recorder.settings import RecordConfig

    wanted = {"series": series or (), "events": event or (), "categories": category or ()}
    return RecordConfig.parse({"wanted": wanted})


def _confirm(words: str) -> str:
    """Answer of the person who is asked to type ``words`` before real money is traded."""
    asked: str = typer.prompt(f"To trade real money type: {words}\n", default="", show_default=False)
    return asked


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="folder of a session (--out of trade)")],
    as_json: JsonOption = False,
) -> None:
    """Play a session again from its recording and write its report: report.html, report.json, the ledger.

    A session that was killed is reported up to its last line on disk. Refused while a session runs there.
    """
    from kalshi_platform.storage.locks import writing
    from kalshi_platform.trading.recorder.segments.restart import take_over

    if not (folder / "frames").is_dir():
        raise ContractError(f"{folder} holds no recorded session; name the folder given as --out to trade")
    with writing(folder, patience_s=0.0):
        take_over(folder)
        _report(folder, as_json)


def _report(folder: Path, as_json: bool) -> None:
    """Write the report and say what it holds."""
    from kalshi_platform.domain.json_text import json_text
    from kalshi_platform.trading.session.report.session_report import write_report

    tell("the report plays the session's recording again: seconds, or minutes after a long session ...")
    made = write_report(folder)
    if as_json:
        sys.stdout.write(json_text(made.report.model_dump(mode="json")) + "\n")
        return
    for line in made.report.lines:
        tell(line)
    tell(f"report: {made.html}")


def _on_screen(tui: bool | None, as_json: bool) -> bool:
    """True where the session is drawn on this terminal: asked for, or nobody said and there is one."""
    from kalshi_platform.trading.session.screen.lent_terminal import is_terminal

    if tui and not is_terminal():
        raise ContractError(
            "--tui needs a terminal: keyboard and stderr must be one, and TERM must name it; leave it out, "
            "or say --plain"
        )
    return is_terminal() and sys.stdout.isatty() and not as_json if tui is None else tui


def _mode(
    kind: str | None,
    rest_url: str | None,
    stream_url: str | None,
    limits: Path | None,
    *,
    resume: str,
    real_money: bool,
) -> Any:
    """Mode of that name with the addresses given; ContractError where one is missing or does not fit."""
    from kalshi_platform.trading.session import modes

    kinds: dict[str, Any] = {
        "simulated": modes.SimulatedMode, "paper": modes.PaperMode, "demo": modes.DemoMode,
        "live": modes.LiveMode,
    }  # fmt: skip
    if kind not in kinds:
        raise ContractError(f"--mode {kind}: expected one of {', '.join(_MODES)}")
    given = {"rest_url": rest_url, "stream_url": stream_url, "limits": limits}
    if kind == "paper" and limits is not None:
        raise ContractError("--limits with mode paper: it sends no orders; leave it out")
    if kind == "paper" and resume:
        raise ContractError("--resume with mode paper: no halt of an earlier session is kept; leave it out")
    if (kind == "live") != real_money:
        raise ContractError("--mode live and --real-money go together: say both, or neither")
    words = {"rest_url": "--rest-url", "stream_url": "--stream-url", "limits": "--limits"}
    with option_words({f"{kinds[kind].__name__}.{name}": word for name, word in words.items()}):
        return kinds[kind].parse({name: value for name, value in given.items() if value is not None})


def _model(registry: str | None, model: str | None) -> tuple[Any, str]:
    """Registry, and the alias or id to trade with: the champion, else the challenger."""
    from kalshi_platform.cli.registries import registry_to_read
    from kalshi_platform.models.registry.store import CHAMPION

    found = registry_to_read(registry)
    if model is not None:
        return found, model
    names = (CHAMPION, "challenger")
    alias = next((name for name in names if found.knows(name)), None)
    if alias is None:
        raise ContractError(f"{found.uri} names no {' and no '.join(names)}: `make run` registers one")
    return found, alias
