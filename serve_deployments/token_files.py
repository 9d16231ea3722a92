"""Files with the tokens of a service on this machine: their rules, and who else reads them.

Invariant  a service that asks for no tokens listens on loopback only, however it was started on this machine.
Not        the tokens themselves (kalshi_platform/serving/server/gate.py reads and checks them).
"""

import secrets
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.owner_only import exposures, make_secret, narrow
from kalshi_platform.domain.places import home
from kalshi_platform.serving.server.gate import AccessArgs, read_tokens, require_apart
from serve_deployments.saying import say

ADMIN_TOKEN_FILE: Final = "serve-admin-token"


def require_safe(host: str, *, require_token: bool) -> None:
    """Raise ContractError if somebody outside this machine could ask without a token."""
    if not require_token and not is_loopback(host):
        raise ContractError(
            f"host {host!r} can be reached from other machines and no token would be asked for: name a file "
            "of client tokens, one a line (openssl rand -hex 32), by --token-file, or in a config by "
            "access.token_file with require_token: true; or serve on 127.0.0.1"
        )


def require_tokens(access: AccessArgs) -> None:
    """Read every token that ``access`` names; ContractError by its place where one cannot be read or is none.

    Replicas read them for themselves: a minute later, and told as a failed deployment.
    """
    require_apart(
        read_tokens(access.token_file, access.token_env),
        read_tokens(access.admin_token_file, access.admin_token_env),
    )


def own_admin_token() -> Path:
    """Path of the administrator's token file in this program's home; made if absent, narrowed if wider.

    ContractError where it belongs to somebody else.
    """
    path = home() / ADMIN_TOKEN_FILE
    if not path.exists():
        make_secret(path, secrets.token_hex(32) + "\n")
    advice = "who could change what is served: remove it, or name a file of your own with --admin-token-file"
    for narrowed in narrow(path, advice):
        say(f"{narrowed} could be used by other users: only you may now")
    return path


def say_exposed(access: AccessArgs) -> None:
    """Warn of a token file that other users can read or replace."""
    for file in (access.token_file, access.admin_token_file):
        if file is not None and (found := exposures(file)):
            say(f"warning: other users can use the tokens in {file} ({'; '.join(found)}): chmod 600 it")


def is_loopback(host: str) -> bool:
    """Return True where ``host`` is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
