"""``kalshi-platform loadtest``: how fast does a running server answer, at a rate that it cannot slow down?

With ``--json`` stdout carries one JSON object only, the content of loadtest.json; progress goes to stderr.
"""

import sys
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from kalshi_platform.cli.command_app import CommandApp
from kalshi_platform.cli.given import refuse_beside
from kalshi_platform.cli.options import Fields, JsonOption, page_folder, with_fields
from kalshi_platform.domain.bounded import shown_value
from kalshi_platform.domain.errors import ContractError, LimitError
from kalshi_platform.domain.hidden_user import shown_address
from kalshi_platform.evaluation.pages.terminal import show, tell
from kalshi_platform.serving.loadtest.page import load_view, write_load_report
from kalshi_platform.serving.loadtest.result import LoadConfig
from kalshi_platform.serving.loadtest.run import run_load

app = CommandApp(help="Measure how fast a running server answers, at a fixed rate.")


@app.command()
@with_fields
def loadtest(
    *,
    context: typer.Context,
    settings: Annotated[
        dict[str, Any],
        Fields(
            LoadConfig,
            "url",
            "duration_s",
            "warm_up_s",
            "arrivals",
            "seed",
            "timeout_s",
            "connections",
            "target_ms",
            "dataset",
            "split",
            "stream",
            "allow_simulated",
            "accept_missing_inputs",
            "token_file",
            rate_per_s="--rate",
            bodies_file="--bodies",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="folder of loadtest.html and loadtest.json", callback=page_folder)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Send requests to a server and report its latency.

    The requests carry rows of a dataset (--dataset), else made-up ones, and the report says which. Exit 4
    where nothing was answered, or it is shown that the load generator missed its own schedule.
    """
    _require_host(settings["url"])
    config = LoadConfig.parse(settings)
    _refuse_unread(context, config)
    tell(f"{config.n_requests_about:,} requests in {config.warm_up_s + config.duration_s:g} s ...")
    found = run_load(config)
    html = write_load_report(found, out)[0] if out is not None else None
    if as_json:
        sys.stdout.write(found.model_dump_json() + "\n")
    else:
        show(load_view(found), html)
        if html is None:
            tell.note("no page was written: --out FOLDER writes loadtest.html and loadtest.json")
    if found.problem is not None:
        raise LimitError(f"these figures are not to be believed: {found.problem}")


def _require_host(url: str) -> None:
    """Refuse an address whose host cannot be looked up, or that holds a user: the report repeats it."""
    shown = shown_value(shown_address(url), 200)
    if "@" in url:
        raise ContractError(f"--url {shown}: an address holds no user: give the client's --token-file")
    try:
        (urlsplit(url).hostname or "").encode("idna")
    except ValueError:
        raise ContractError(f"--url {shown}: its host is no name; give http://host:port") from None


def _refuse_unread(context: typer.Context, config: LoadConfig) -> None:
    """Refuse options of a stream without one, and the split of a dataset where none is read."""
    if config.stream is None:
        why = "only a stream asks whether its model is good enough"
        refuse_beside(context, "without --stream", why, "allow_simulated", "accept_missing_inputs")
    others = {"--stream": config.stream, "--bodies": config.bodies_file}
    if source := next((name for name, value in others.items() if value is not None), None):
        refuse_beside(context, f"beside {source}", "no dataset is read", "split")
