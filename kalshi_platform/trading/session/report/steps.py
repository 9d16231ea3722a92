"""Steps by which the accounts of both sides changed, and the first one by which they differ.

First     the accounts were equal before it and have not been since, up to the moment that is asked for.
Units     position 1e-2 contract, cash 1e-6 dollar, time ns UTC.
"""

from bisect import bisect_left
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kalshi_platform.trading.session.report.explaining import Key


class AccountStep(NamedTuple):
    """Change of one account, and the order that filled; None: a payment, or an order of somebody else."""

    at_ns: int
    line: int  # of the recording; -1: of the replay, before every note of that time
    change: int  # here +, in the replay -
    order: Key | None


@dataclass
class AccountSteps:
    """Steps by what they change: a market's position, or a group's cash."""

    _steps: dict[Hashable, list[AccountStep]] = field(default_factory=dict)
    _is_sorted: bool = True

    def add(self, what: Hashable, step: AccountStep) -> None:
        """Add one step."""
        self._steps.setdefault(what, []).append(step)
        self._is_sorted = False

    def first(self, what: Hashable, at_ns: int, line: int) -> AccountStep | None:
        """First step by which both sides differ just before ``line`` at ``at_ns``; None where they do not."""
        if not self._is_sorted:
            for steps in self._steps.values():
                steps.sort(key=_place)
            self._is_sorted = True
        steps, apart, found = self._steps.get(what, []), 0, None
        for step in steps[: bisect_left(steps, (at_ns, line), key=_place)]:
            found = step if apart == 0 else found
            apart += step.change
        return found if apart else None


def _place(step: Any) -> tuple[int, int]:
    """Place of a step in the order of time."""
    return step.at_ns, step.line
