"""A limit in seconds that is meant for a quiet machine, stretched by how much this one is shared.

Four processes of the suite run on two cores of CI: what ends in five seconds alone took 10.6 there.
"""

import threading
import time
from typing import Self

#: Seconds of CPU that one probe takes, and between two probes.
_SPIN_S = 0.01
_PAUSE_S = 0.1


def spin(cpu_s: float) -> float:
    """Take ``cpu_s`` seconds of CPU in this thread; seconds that passed meanwhile, as a multiple of them."""
    begun_s, used_s = time.monotonic(), time.thread_time()
    while time.thread_time() - used_s < cpu_s:
        pass
    return (time.monotonic() - begun_s) / (time.thread_time() - used_s)


class Within:
    """Fail unless the block ends within ``quiet_s`` seconds of a machine that does nothing else.

    While the block runs, a thread takes a tenth of a core in short spins and notes how long each had to wait
    for it; the limit is ``quiet_s`` times the mean. The block itself is expected to wait, not to compute.
    """

    def __init__(self, quiet_s: float) -> None:
        self.quiet_s = quiet_s
        self._slowdowns: list[float] = []
        self._over = threading.Event()
        self._probing = threading.Thread(target=self._probe, daemon=True)

    def _probe(self) -> None:
        while not self._over.wait(_PAUSE_S):
            self._slowdowns.append(spin(_SPIN_S))

    @property
    def limit_s(self) -> float:
        """Seconds allowed so far."""
        mean = sum(self._slowdowns) / len(self._slowdowns) if self._slowdowns else 1.0
        return self.quiet_s * max(1.0, mean)

    def __enter__(self) -> Self:
        self._begun_s = time.monotonic()
        self._probing.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        took_s = time.monotonic() - self._begun_s
        self._over.set()
        self._probing.join()
        if kind is None:
            assert took_s < self.limit_s, (
                f"took {took_s:.1f} s; {self.quiet_s:g} on a quiet machine allow {self.limit_s:.1f}"
            )
