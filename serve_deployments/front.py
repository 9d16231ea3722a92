"""Bounds of strangers in HAProxy's configuration: written into Ray's text before each start of HAProxy.

Why        Ray's template gives a connection an hour to send its header, speaks HTTP/2 to whoever begins with
           its preface, and has no switch for either. It does let an operator name the HAProxy binary: that is
           this program here, which edits the configuration and then becomes HAProxy (same process id).
Bounds     one deadline for a header and the first 16 kB of its body, which HAProxy gathers before a replica
           hears of the request; the longest silence of an idle, a busy and an upgraded connection; HTTP/1
           only; connections of one address, loopback excepted: there all programs have one address.
Invariant  a line of Ray's template that is not found is an error: HAProxy is never started without bounds.
Imports    the standard library only: HAProxy starts through this file in every reload.
"""

import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

#: Stands in a configuration that was edited.
_MARK: Final = "    # bounds of kalshi-platform (serve_deployments/front.py)"
#: Connections of one scraper, and of a few that look by hand.
_SCRAPERS: Final = 32
_NAME: Final = "haproxy"


class FrontBounds(NamedTuple):
    """Longest waits in whole seconds, and connections of one address; ``PolicyAppArgs`` says more."""

    header_s: int = 5
    idle_s: int = 30
    silent_s: int = 60
    per_address: int = 1_024


class TemplateError(Exception):
    """Ray's configuration lacks a line that the bounds are written beside."""


def bounded(text: str, bounds: FrontBounds) -> str:
    """Configuration ``text`` of Ray's template with ``bounds`` in it; TemplateError where they have no place.

    A text that was edited before is returned as it is.
    """
    if _MARK in text:
        return text
    text = _replaced(text, r"timeout client \d+s", f"timeout client {bounds.silent_s}s")
    text = _replaced(text, r"timeout http-keep-alive \d+s", f"timeout http-keep-alive {bounds.idle_s}s")
    text = _after(
        text, r"defaults\n    mode http", _MARK,
        f"    timeout http-request {bounds.header_s}s", f"    timeout tunnel {bounds.silent_s}s",
    )  # fmt: skip
    text = _after(text, r"frontend prometheus\n    bind [^\n]+", f"    maxconn {_SCRAPERS}")
    text = _replaced(text, r"(frontend http_frontend\n    bind [^\n]+)", r"\1 proto h1")
    return _after(
        text, r"frontend http_frontend\n    bind [^\n]+",
        "    option http-buffer-request",
        "    stick-table type ipv6 size 20k expire 60s store conn_cur",
        "    tcp-request connection track-sc0 src unless { src 127.0.0.0/8 ::1 }",
        f"    tcp-request connection reject if {{ sc0_conn_cur gt {bounds.per_address} }}",
    )  # fmt: skip


def _replaced(text: str, pattern: str, by: str) -> str:
    found, n = re.subn(pattern, by, text)
    if not n:
        raise TemplateError(f"no line like {pattern!r}")
    return found


def _after(text: str, pattern: str, *lines: str) -> str:
    """Write ``lines`` below the one place that ``pattern`` finds."""
    added = "\n".join(lines)
    found, n = re.subn(rf"(?m)^({pattern})$", lambda at: f"{at[1]}\n{added}", text)
    if n != 1:
        raise TemplateError(f"{n} places like {pattern!r}, expected one")
    return found


def write_launcher(folder: Path, binary: str, bounds: FrontBounds) -> Path:
    """Write the program into ``folder`` that Ray starts as HAProxy; ``binary`` is the real one.

    Only this user can read and run it.
    """
    words = [sys.executable, "-I", str(Path(__file__).resolve()), binary, *map(str, bounds)]
    path = folder / _NAME
    path.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    path.chmod(0o700)
    return path


def main(words: Sequence[str]) -> None:
    """Edit the configuration that ``words`` name, then become HAProxy; SystemExit where it cannot.

    ``words``: the real binary, the bounds in the order of :class:`FrontBounds`, then HAProxy's own.
    """
    n = len(FrontBounds._fields)
    binary, numbers, own = words[0], words[1 : n + 1], list(words[n + 1 :])
    try:
        config = Path(own[own.index("-f") + 1])
        config.write_text(bounded(config.read_text(), FrontBounds(*map(int, numbers))))
    except (TemplateError, ValueError, IndexError, OSError) as error:
        sys.exit(
            f"HAProxy is not started without bounds on strangers ({error}): its configuration is not the one "
            "that serve_deployments/front.py knows; install the release of Ray that constraints.txt names"
        )
    os.execv(binary, [binary, *own])


if __name__ == "__main__":
    main(sys.argv[1:])
