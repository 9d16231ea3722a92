"""``kalshi-platform serve``: the registry's model over HTTP on this machine, until Ctrl-C."""

import os
from typing import Annotated, Any

import typer

from kalshi_platform.cli.command_app import CommandApp
from kalshi_platform.cli.options import Fields, RegistryOption, with_fields
from kalshi_platform.cli.registries import registry_to_read
from kalshi_platform.domain.hidden_user import shown_address
from kalshi_platform.evaluation.pages.terminal import tell
from kalshi_platform.serving.server.args import PolicyAppArgs
from kalshi_platform.serving.server.gate import AccessArgs

app = CommandApp(help="Serve the registry's model over HTTP on this machine until Ctrl-C.")


@app.command()
@with_fields
def serve(
    *,
    registry: RegistryOption = None,
    model: Annotated[
        str | None,
        typer.Option(help="alias to follow  [default: champion; challenger where there is no champion]"),
    ] = None,
    host: Annotated[
        str, typer.Option(help="address to listen on; without --token-file only loopback is served")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 = any free one")] = 8000,
    access: Annotated[dict[str, Any], Fields(AccessArgs, "token_file", "admin_token_file")],
    settings: Annotated[
        dict[str, Any],
        Fields(PolicyAppArgs, "shadow", "replicas", "deadline_ms", tier_3="--tier-3/--tier-3-inside"),
    ],
    metrics_port: Annotated[
        int | None,
        typer.Option(min=1, max=65_535, help="port of the metrics for Prometheus  [default: any free one]"),
    ] = None,
    ha_proxy: Annotated[
        bool, typer.Option("--ha-proxy/--no-ha-proxy", help="HAProxy or Serve's own proxy in front")
    ] = True,
) -> None:
    """Serve the registry's model over HTTP on this machine, with a Ray of its own, until Ctrl-C.

    A request goes through tiers, from cheap to costly, until one is sure enough: rules, tier 1 and tier 2
    (small networks that `tiers build` makes of the model), tier 3 (the model itself). docs/words.md

    On a Ray cluster: serve deploy serve_deployments/configs/cluster.yaml (docs/serving.md).
    """
    from serve_deployments.local import alias_to_serve, free_port, serve_here
    from serve_deployments.token_files import own_admin_token, require_safe

    require_safe(host, require_token=access["token_file"] is not None)
    if cluster := os.environ.get("RAY_ADDRESS"):
        tell.note(
            f"RAY_ADDRESS={shown_address(cluster)} is not used: this command serves on this machine, with a "
            "Ray of its own; on the cluster: serve deploy serve_deployments/configs/cluster.yaml"
        )
    registry = registry_to_read(registry).uri
    alias, words = alias_to_serve(registry, model)
    if words:
        typer.secho(words, err=True, fg="yellow")
    access["admin_token_file"] = access["admin_token_file"] or own_admin_token()
    args = PolicyAppArgs.parse(
        {
            "registry": registry,
            "model": alias,
            "access": {"require_token": access["token_file"] is not None, **access},
            "replica_cpus": 0,
            "tier_3_cpus": 0,
            **settings,
        }
    )
    serve_here(args, host, port or free_port(host), ha_proxy=ha_proxy, metrics_port=metrics_port)
