"""``kalshi-platform serve``: hands its options to ``serve_deployments.local``.

That package lies above this one (docs/architecture.md), so it is started as a program and not imported. It
takes this process's place: signals and the exit code are its own, and so is ``--help``.
"""

import os
import sys

import typer

app = typer.Typer(
    add_completion=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
)


@app.command()
def serve(ctx: typer.Context) -> None:
    """Serve the registry's model over HTTP on this machine until Ctrl-C."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "serve_deployments.local", *ctx.args])
