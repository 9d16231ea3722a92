"""The end of a service: Serve, Ray and every process of theirs, within ten seconds.

Invariant  when :func:`stop` returns, or the process ends in it, nothing that this one began still listens.
"""

import os
import sys
import threading
from typing import Any, Final

import psutil

from kalshi_platform.domain.errors import ExitCode
from kalshi_platform.domain.family import descendants, end_those_left
from serve_deployments.private_folder import remove_made

#: Seconds after which an end that hangs is made short.
_END_S: Final = 7.0
#: Seconds that Ray's agents get once Ray has ended.
_AGENTS_S: Final = 1.5


def stop(ray: Any, serve: Any | None) -> None:
    """End Ray and whoever is left of it; before that ``serve``, None where it has no answers to finish."""
    family = descendants()
    hung = threading.Timer(_END_S, _end_at_once, (family,))
    hung.daemon = True
    hung.start()
    if ray.is_initialized():
        if serve is not None:
            serve.shutdown()
        ray.shutdown()
    hung.cancel()
    end_those_left(family, _AGENTS_S)


def _end_at_once(family: list[psutil.Process]) -> None:
    """Kill every process of the service and end this one."""
    n_left = end_those_left(family, 0.0)
    words = f"Ray did not end within {_END_S:g} s: {n_left} of its processes were killed"
    print(f"kalshi-platform serve: {words}", file=sys.stderr, flush=True)
    remove_made()
    os._exit(int(ExitCode.FAILED))
