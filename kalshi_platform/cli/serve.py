"""``kalshi-platform serve``: the registry's model over HTTP on this machine, until Ctrl-C."""

from pathlib import Path
from typing import Annotated

import typer

from kalshi_platform.cli.options import RegistryOption
from kalshi_platform.domain.errors import ContractError

app = typer.Typer(help="Serve the registry's model over HTTP on this machine until Ctrl-C.")


@app.command()
def serve(
    local: Annotated[bool, typer.Option("--local", help="start a Ray of its own on this machine")] = False,
    registry: RegistryOption = None,
    model: Annotated[
        str | None,
        typer.Option(help="alias to follow  [default: champion; challenger where there is no champion]"),
    ] = None,
    shadow: Annotated[
        str | None,
        typer.Option(help="alias whose model decides beside it and is only compared, e.g. challenger"),
    ] = None,
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 = any free one")] = 8000,
    token_file: Annotated[
        Path | None, typer.Option(help="client tokens, one a line; without it only loopback is served")
    ] = None,
    admin_token_file: Annotated[
        Path | None, typer.Option(help="tokens that may reload and roll back  [default: one is made]")
    ] = None,
    replicas: Annotated[int, typer.Option(min=1, help="of caches, rules, tiers 1 and 2")] = 1,
    tier3: Annotated[
        bool, typer.Option("--tier3/--tier3-inside", help="tier 3 in a process of its own, or in the others")
    ] = True,
    deadline_ms: Annotated[float, typer.Option(min=0.1, help="of requests that name none")] = 50.0,
    ha_proxy: Annotated[
        bool, typer.Option("--ha-proxy/--no-ha-proxy", help="HAProxy or Serve's own proxy in front")
    ] = True,
) -> None:
    """Serve the registry's model over HTTP on this machine until Ctrl-C."""
    from kalshi_platform.serving.server.args import AccessArgs, PolicyAppArgs
    from serve_deployments.local import alias_to_serve, free_port, own_admin_token, require_safe, serve_here

    if not local:
        raise ContractError(
            "say --local to serve on this machine; on a cluster: "
            "serve deploy serve_deployments/configs/cluster.yaml (docs/serving.md)"
        )
    require_safe(host, token_file)
    alias, words = alias_to_serve(registry, model)
    if words:
        typer.secho(words, err=True, fg="yellow")
    args = PolicyAppArgs(
        registry=registry,
        model=alias,
        shadow=shadow,
        access=AccessArgs(
            require_token=token_file is not None,
            token_file=token_file,
            admin_token_file=admin_token_file or own_admin_token(),
        ),
        deadline_ms=deadline_ms,
        replicas=replicas,
        tier3=tier3,
        replica_cpus=0,
        tier3_cpus=0,
    )
    serve_here(args, host, port or free_port(host), ha_proxy=ha_proxy)
