"""What a service tells: the interface between deciding and whoever counts, exports and logs."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from kalshi_platform.serving.inference.batch import Decisions
from kalshi_platform.serving.server.models import Served
from kalshi_platform.serving.server.problems import Problem


class Observer(Protocol):
    """Is told what happens, one call an event; Observability of observability.py."""

    def decided(
        self,
        request_id: str,
        served: Served,
        decisions: Decisions,
        timings_ms: Mapping[str, float],
        occupied: np.ndarray | None = None,
    ) -> None:
        """A request was answered; ``occupied`` (N, S) bool are the slots with a market."""
        ...

    def refused(self, request_id: str, problem: Problem) -> None:
        """A request was refused."""
        ...

    def fell_back(self, request_id: str, model: str, tier: int, error: BaseException) -> None:
        """A tier did not answer and a lower one did."""
        ...

    def filled(self, age_ns: int) -> None:
        """Features were left out of a request, the oldest value that stood in was so old."""
        ...

    def frames(self, n: int) -> None:
        """A stream took in ``n`` frames."""
        ...

    def event(self, decisions: Decisions, occupied: np.ndarray, taken_ns: int, age_ns: int) -> None:
        """A stream's event was decided ``taken_ns`` after its frame; its oldest row was ``age_ns`` old."""
        ...

    def sessions(self, n: int, *, resumed: bool = False) -> None:
        """So many streams are open now; the latest was taken up again, or not."""
        ...

    def ready(self, is_ready: bool) -> None:
        """What a probe of every tier found."""
        ...

    def tier3_paused(self, is_paused: bool) -> None:
        """Tier 3 is not asked any more for a while, or answered again."""
        ...
