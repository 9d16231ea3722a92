"""``kalshi-platform loadtest``: how fast a running server answers, at a fixed rate it cannot slow down.

With ``--json`` stdout carries one JSON object only, the content of loadtest.json; progress goes to stderr.
"""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from kalshi_platform.domain.errors import LimitError
from kalshi_platform.evaluation.pages.terminal import show, tell
from kalshi_platform.serving.loadtest.page import load_view, write_load_report
from kalshi_platform.serving.loadtest.result import LoadConfig
from kalshi_platform.serving.loadtest.run import run_load

app = typer.Typer(help="Measure how fast a running server answers, at a fixed rate.")


@app.command()
def loadtest(
    url: Annotated[str, typer.Option(help="where the server listens")] = "http://127.0.0.1:8000",
    rate: Annotated[float, typer.Option(help="requests, or frames, meant a second")] = 50.0,
    duration_s: Annotated[float, typer.Option(help="measured seconds, after the warm-up")] = 30.0,
    warm_up_s: Annotated[float, typer.Option(help="seconds sent before and left out")] = 3.0,
    arrivals: Annotated[str, typer.Option(help="poisson or constant")] = "poisson",
    seed: Annotated[int, typer.Option(help="of arrivals and bodies")] = 0,
    timeout_s: Annotated[float, typer.Option(help="a later answer is a failure")] = 5.0,
    target_ms: Annotated[float, typer.Option(help="the share answered within this is reported")] = 50.0,
    bodies: Annotated[
        Path | None, typer.Option(help="request bodies, one JSON object a line  [default: GET /v1/example]")
    ] = None,
    stream: Annotated[
        Path | None, typer.Option(help="capture sent through /v1/stream, instead of POST /v1/decide")
    ] = None,
    token_file: Annotated[Path | None, typer.Option(help="file of the client token")] = None,
    out: Annotated[Path | None, typer.Option(help="folder of loadtest.html and loadtest.json")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """Load a server and report; exit 4 where the generator could not keep its own schedule."""
    config = LoadConfig.parse(
        {
            "url": url,
            "rate_per_s": rate,
            "duration_s": duration_s,
            "warm_up_s": warm_up_s,
            "arrivals": arrivals,
            "seed": seed,
            "timeout_s": timeout_s,
            "target_ms": target_ms,
            "bodies_file": _text(bodies),
            "stream": _text(stream),
            "token_file": _text(token_file),
        }
    )
    tell(f"{config.n_requests_about:,} requests in {warm_up_s + duration_s:g} s ...")
    found = run_load(config)
    html = write_load_report(found, out)[0] if out is not None else None
    if as_json:
        sys.stdout.write(found.model_dump_json() + "\n")
    else:
        show(load_view(found), html)
    if found.problem is not None:
        raise LimitError(f"these figures are not to be believed: {found.problem}")


def _text(path: Path | None) -> Any:
    return None if path is None else str(path)
