"""Serve the policy in a container of its own: the program of the serving image (docker/Dockerfile).

    python -m serve_deployments.container [--model ALIAS] [--metrics-port PORT] [CONFIG]

Reads      CONFIG, a config file of Ray Serve with this one application (docker/serve-config.yaml).
Ends       with one line on stderr and an exit status of its own where the service cannot start: too few open
           files, no model, no answer. The container's restart policy tries again, so that a service that was
           started before its registry had a model comes up once there is one.
Not        a cluster of Kubernetes: there KubeRay starts Ray and hands the application to it.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from kalshi_platform.domain.bounded import bounded_message
from kalshi_platform.domain.errors import ContractError, PlatformError
from kalshi_platform.serving.server.args import PolicyAppArgs
from serve_deployments.local import serve_here

CONFIG: Final = Path("/opt/kalshi/serve-config.yaml")
#: The same as `--metrics-export-port` of docker/compose.yaml and `metrics-export-port` of cluster/kuberay.
METRICS_PORT: Final = 8080
#: The Ray of this container runs nothing else: asking for processors would only keep small machines waiting.
_CPUS: Final = {"replica_cpus": 0, "tier_3_cpus": 0}
_HIGHEST_PORT: Final = 65_535
#: What Ray Serve listens on where a config does not say.
_LISTENS: Final = {"host": "127.0.0.1", "port": 8000}


def read_config(path: Path, model: str | None) -> tuple[PolicyAppArgs, str, int]:
    """Return the application's arguments, host and port that the config at ``path`` gives.

    ``model``, where given, is the alias to follow instead of the config's. ContractError names a fault.
    """
    try:
        found: Any = yaml.safe_load(path.read_text())
        (application,) = found["applications"]
        fields = {**_CPUS, **(application.get("args") or {})}
        listens = {**_LISTENS, **(found.get("http_options") or {})}
        host, port = str(listens["host"]), int(listens["port"])
    except OSError as error:
        raise ContractError(
            f"{path} cannot be read ({error.strerror}): mount it or name another file"
        ) from None
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        told = f"{type(error).__name__}: {bounded_message(str(error), 250)}"
        raise ContractError(
            f"{path} is no config of Ray Serve with one application ({told}): "
            "docker/serve-config.yaml of the checkout is one"
        ) from None
    if model is not None:
        fields["model"] = model
    _require_port(port, f"http_options.port of {path}")
    try:
        return PolicyAppArgs.parse(fields), host, port
    except ContractError as error:
        raise ContractError(f"{path}: {error}") from None


def _require_port(port: int, name: str) -> None:
    if not 1 <= port <= _HIGHEST_PORT:
        raise ContractError(f"{name} is {port}: give a port from 1 to {_HIGHEST_PORT}")


def arguments_of(words: Sequence[str] | None) -> argparse.Namespace:
    """Return ``config``, ``model`` and ``metrics_port`` as ``words``, or this process's, say."""
    parser = argparse.ArgumentParser(prog="python -m serve_deployments.container")
    parser.add_argument("config", nargs="?", type=Path, default=CONFIG)
    parser.add_argument("--model", help="alias to follow instead of the config's (its own default: champion)")
    parser.add_argument("--metrics-port", type=int, default=METRICS_PORT, help="of Ray's metrics [8080]")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C; returns the exit status."""
    asked = arguments_of(words)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _require_port(asked.metrics_port, "--metrics-port")
        args, host, port = read_config(asked.config, asked.model)
        serve_here(args, host, port, ha_proxy=True, metrics_port=asked.metrics_port)
    except PlatformError as error:
        print(f"kalshi-platform serve: {error}", file=sys.stderr, flush=True)
        return int(error.exit_code)
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
