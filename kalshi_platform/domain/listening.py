"""TCP ports on which processes of this machine listen, for a service's first lines and for the doctor."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import Final, NamedTuple

import psutil

#: Longest list of ports: a message has 500 characters at most, and says more than the ports.
MOST_CHARACTERS: Final = 320


class Listener(NamedTuple):
    """A TCP port that a process listens on."""

    address: str
    port: int
    process: str
    pid: int

    @property
    def is_loopback(self) -> bool:
        """True where only this machine can connect."""
        return ip_address(self.address).is_loopback


def listeners(processes: Iterable[psutil.Process]) -> list[Listener]:
    """TCP ports of ``processes``, by port; a process that is gone, or is not ours to look at, has none."""
    found = set()
    for process in processes:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            name = process.name()
            found |= {
                Listener(each.laddr.ip, each.laddr.port, name, process.pid)
                for each in process.net_connections("tcp")
                if each.status == psutil.CONN_LISTEN
            }
    return sorted(found, key=lambda each: (each.port, each.address, each.pid))


def words(found: Sequence[Listener]) -> str:
    """``found`` in one line: addresses, ports and processes; those that do not fit are counted."""
    shown: list[str] = []
    room = MOST_CHARACTERS
    for each in found:
        text = f"{each.address}:{each.port} {each.process}"
        room -= len(text) + len(", ")
        if room < 0:
            break
        shown.append(text)
    left_out = len(found) - len(shown)
    if left_out:
        shown.append(f"and {left_out} more (`ss -ltnp` lists all)")
    return ", ".join(shown) or "nothing"
