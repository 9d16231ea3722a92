"""Pages of a list, collected: a set that says whether it is whole, since an incomplete one is no evidence.

Incomplete  where the budget of pages ended before the list, where a cursor came a second time, or where a
            page could not be fetched or read. Items of the pages before it are kept, with the reason.
Shifting    data may move between pages while they are fetched: an item whose key came before is dropped and
            counted. An item may also be missed so; a list that must be whole is bounded by times.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from kalshi_platform.domain.errors import DataError, PlatformError
from kalshi_platform.trading.exchange.fields import AnswerFields
from kalshi_platform.trading.exchange.rest import Params, RestTransport

Item = TypeVar("Item")
#: Fetches one page, given the cursor of the page before (None: the first).
FetchPage = Callable[[str | None], Awaitable[AnswerFields]]


@dataclass(frozen=True, slots=True)
class PageSet(Generic[Item]):
    """Items of all pages that were fetched; only a complete set says what is *not* there."""

    items: tuple[Item, ...]
    complete: bool
    why: str | None  # None where complete
    pages: int
    repeated: int  # items that came twice, kept once

    def whole(self) -> tuple[Item, ...]:
        """Items of a complete set; DataError where it is incomplete."""
        if not self.complete:
            raise DataError(
                f"incomplete after {self.pages} pages and {len(self.items)} items: {self.why}; ask again"
            )
        return self.items


async def collect(
    fetch: FetchPage,
    read: Callable[[AnswerFields], list[Item]],
    key: Callable[[Item], object],
    most_pages: int,
) -> PageSet[Item]:
    """Fetch pages until the list ends, at most ``most_pages``; ``read`` gives the items of one page."""
    found: dict[object, Item] = {}
    cursors: set[str] = set()
    pages = repeated = 0
    cursor: str | None = None
    why: str | None = None
    while True:
        if pages == most_pages:
            why = f"the budget of {most_pages} pages ended before the list"
            break
        try:
            page = await fetch(cursor)
            items = read(page)
            cursor = page.maybe_text("cursor")
        except PlatformError as err:
            why = f"page {pages + 1} failed: {err}"
            break
        pages += 1
        repeated += sum(key(item) in found for item in items)
        found.update((key(item), item) for item in items)
        if not cursor:
            break
        if cursor in cursors:
            why = f"page {pages} gave a cursor that came before"
            break
        cursors.add(cursor)
    return PageSet(tuple(found.values()), why is None, why, pages, repeated)


async def collect_list(
    rest: RestTransport,
    endpoint: str,
    params: Params,
    read: Callable[[AnswerFields], list[Item]],
    key: Callable[[Item], object],
    most_pages: int,
) -> PageSet[Item]:
    """Collect the pages of the list at ``GET endpoint``, which takes a cursor beside ``params``."""

    async def fetch(cursor: str | None) -> AnswerFields:
        return await rest.get(endpoint, params={**params, "cursor": cursor})

    return await collect(fetch, read, key, most_pages)
