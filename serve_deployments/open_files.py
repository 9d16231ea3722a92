"""Open files that HAProxy needs: checked, and raised as far as allowed, before Ray starts.

Why        HAProxy opens its files when it starts and ends where it may not. Serve then starts it again and
           again behind an application that seems to run.
Count      two files a connection, and for every fourth connection a pipe of two files (Ray's configuration
           asks HAProxy to splice); then its listeners, threads and the replicas that it checks.
Limits     soft is what a process has, hard what it may take. A process that may raise its hard limit (root)
           does so here, as HAProxy itself would.
"""

import resource
from collections.abc import Mapping
from typing import Final

from kalshi_platform.domain.errors import ContractError

#: Ray's switches and its own value of the second.
HA_PROXY: Final = "RAY_SERVE_ENABLE_HA_PROXY"
MAX_CONNECTIONS: Final = "RAY_SERVE_HAPROXY_MAXCONN"
RAYS_CONNECTIONS: Final = 4096
#: Measured on HAProxy 2.8.25: 21, one a listener, three a thread, one a replica. Room for 200 replicas.
_BESIDE_CONNECTIONS: Final = 256
#: Suggested where a limit must be raised anyway.
_PLENTY: Final = 65_536


def open_files_needed(connections: int) -> int:
    """Return how many files HAProxy opens for at most ``connections`` connections."""
    return 2 * connections + 2 * (connections // 4) + _BESIDE_CONNECTIONS


def require_open_files(environment: Mapping[str, str]) -> None:
    """Raise this process's limit of open files to what HAProxy needs; ContractError where it may not.

    Nothing is asked where ``environment`` does not switch HAProxy on.
    """
    if environment.get(HA_PROXY) != "1":
        return
    connections = _connections(environment)
    needed = open_files_needed(connections)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if _allows(soft, needed):
        return
    raised = hard if _allows(hard, needed) else needed
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, raised))
    except (OSError, ValueError):
        raise ContractError(_refusal(hard, connections, needed)) from None


def _connections(environment: Mapping[str, str]) -> int:
    said = environment.get(MAX_CONNECTIONS, str(RAYS_CONNECTIONS))
    if not said.isdecimal() or int(said) < 1:
        raise ContractError(f"{MAX_CONNECTIONS}={said!r} is no number of connections: give 1 or more")
    return int(said)


def _allows(limit: int, needed: int) -> bool:
    return limit == resource.RLIM_INFINITY or limit >= needed


def _refusal(hard: int, connections: int, needed: int) -> str:
    fits = (hard - _BESIDE_CONNECTIONS) * 2 // 5
    fewer = f", or let it take fewer connections ({MAX_CONNECTIONS}={fits})" if fits >= 1 else ""
    return (
        f"HAProxy needs {needed} open files for {connections} connections, and this process may have {hard}: "
        f"raise the hard limit (as root `ulimit -Hn {_PLENTY}`; docker run --ulimit nofile={_PLENTY}; "
        f"compose `ulimits`; on Kubernetes LimitNOFILE of the node's container runtime){fewer}, or serve "
        "without HAProxy (kalshi-platform serve --no-ha-proxy)"
    )
