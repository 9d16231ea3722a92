"""The name by which a service is asked: a page must not read it by pointing a name of its own here.

Why      a page whose name is pointed at this machine (DNS rebinding) is of the service's own origin then: its
         requests carry no Origin, and it can read the answers. But they carry the page's name.
Rule     where no token is required, the Host header is an address, localhost, one of ``access.hosts``, or
         absent (no browser leaves it out). With tokens any name may be used: pages have none.
"""

import re
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

from starlette.types import Scope

from kalshi_platform.serving.api.wrong_fields import shortened
from kalshi_platform.serving.server.gate import AccessArgs
from kalshi_platform.serving.server.problems import Problem

#: An address of IPv6 and a port.
_IN_BRACKETS: Final = re.compile(r"\[([0-9a-f:.%]+)\](?::[0-9]+)?")


def require_host(access: AccessArgs, scope: Scope) -> None:
    """Raise Problem 421 where a service without tokens is asked by a name that is not its own."""
    name = name_in(next((value.decode("latin-1") for key, value in scope["headers"] if key == b"host"), ""))
    if access.require_token or name in ("", "localhost", *access.hosts) or _is_address(name):
        return
    detail = (
        f"this service is not asked by the name {shortened(name)}: ask by an address or localhost, or add "
        "the name to access.hosts"
    )
    raise Problem(421, "host", detail, "host")


def name_in(host: str) -> str:
    """Name or address in the text of a Host header, lower case, without its port."""
    name = host.strip().lower()
    if name.startswith("["):
        found = _IN_BRACKETS.fullmatch(name)
        return found[1] if found else name
    before, _, port = name.rpartition(":")
    return before if before and port.isdecimal() else name


@lru_cache(maxsize=64)
def _is_address(name: str) -> bool:
    """Return True for an IP address; remembered, because nearly every request names the same one."""
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
