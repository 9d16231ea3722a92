"""Causes of differences: for each order that differs, the first one of which its difference is a consequence.

Chain     a difference that follows from another order's names that order; the way ends at an order that
          differs by itself. One that looked the same until then is named by what the chain says of it.
Numbers   orders are counted from 1 in order of their decisions, as in ``orders.csv``.
"""

from collections.abc import Mapping
from typing import NamedTuple

from kalshi_platform.trading.session.report.explaining import (
    CONSEQUENCES,
    HELD_BACK,
    SAME,
    UNEXPLAINED,
    Explained,
    Key,
)


class Link(NamedTuple):
    """Order that a difference follows from, and what it is called where it shows none of its own."""

    order: Key
    name: str
    detail: str = ""


class Traced(NamedTuple):
    """Explanation of an order, and the order with its cause; None where both sides are equal."""

    explained: Explained
    cause: Key | None


def trace(explained: Mapping[Key, Explained], links: Mapping[Key, Link]) -> dict[Key, Traced]:
    """Explanations with their causes; one whose chain is broken or runs in a circle is unexplained."""
    named = dict(explained)
    causes: dict[Key, Key] = {}
    for key, found in explained.items():
        if found.why in (SAME, HELD_BACK):
            continue
        cause = _cause(key, explained, links)
        if cause is None:
            named[key] = Explained(
                UNEXPLAINED, f"{found.why} ({found.detail}), and no order before shows why"
            )
            cause = key
        elif cause != key and explained[cause].why == SAME:
            last = _last_link(key, cause, links)
            named[cause] = Explained(last.name, last.detail)
            causes[cause] = cause
        causes[key] = cause
    return {key: Traced(found, causes.get(key)) for key, found in named.items()}


def _cause(key: Key, explained: Mapping[Key, Explained], links: Mapping[Key, Link]) -> Key | None:
    """Order with the cause of a difference; None where the chain ends at a consequence, or nowhere."""
    seen = {key}
    while (link := links.get(key)) is not None:
        key = link.order
        if key in seen or key not in explained or explained[key].why == HELD_BACK:
            return None
        if explained[key].why == SAME:
            return key
        seen.add(key)
    return None if explained[key].why in CONSEQUENCES else key


def _last_link(key: Key, cause: Key, links: Mapping[Key, Link]) -> Link:
    """Link of the chain from ``key`` that leads to ``cause``."""
    while links[key].order != cause:
        key = links[key].order
    return links[key]
