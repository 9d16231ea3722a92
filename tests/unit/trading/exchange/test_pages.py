import httpx
import pytest
from made.exchange import run, transport

from kalshi_platform.domain.errors import DataError
from kalshi_platform.trading.exchange.public_calls import PublicCalls


def trade(number):
    return {
        "trade_id": f"t{number}", "ticker": "KXA-1", "yes_price_dollars": "0.4000", "count_fp": "1.00",
        "taker_outcome_side": "yes", "is_block_trade": False, "created_time": "2026-11-23T02:13:20.38Z",
    }  # fmt: skip


class Pages:
    """REST lists whose pages are given: (numbers of trades, cursor), or an answer as it is."""

    def __init__(self, *pages):
        self.pages = list(pages)
        self.cursors = []

    def __call__(self, request):
        self.cursors.append(request.url.params.get("cursor"))
        page = self.pages.pop(0) if len(self.pages) > 1 else self.pages[0]
        if isinstance(page, httpx.Response):
            return page
        numbers, cursor = page
        return httpx.Response(200, json={"trades": numbers and [*map(trade, numbers)], "cursor": cursor})


def trades(pages, **more):
    return run(PublicCalls(transport(pages, attempts=2)).trades(ticker="KXA-1", **more))


def ids(found):
    return [each.trade_id for each in found.items]


@pytest.mark.parametrize("end", ["", None])
def test_pages_are_followed_by_their_cursors_to_the_end(end):
    pages = Pages(([1, 2], "a"), ([3], "b"), ([4], end))
    found = trades(pages)
    assert ids(found) == ["t1", "t2", "t3", "t4"]
    assert (found.complete, found.why, found.pages) == (True, None, 3)
    assert pages.cursors == [None, "a", "b"]
    assert len(found.whole()) == 4


def test_a_budget_that_ends_before_the_list_leaves_it_incomplete():
    found = trades(Pages(([1], "a"), ([2], "b"), ([3], "")), most_pages=2)
    assert ids(found) == ["t1", "t2"]
    assert not found.complete
    assert found.why == "the budget of 2 pages ended before the list"
    with pytest.raises(DataError, match="incomplete after 2 pages and 2 items"):
        found.whole()


def test_a_budget_that_is_just_enough_leaves_it_complete():
    assert trades(Pages(([1], "a"), ([2], "")), most_pages=2).complete


def test_a_cursor_that_comes_again_ends_the_list_as_incomplete():
    found = trades(Pages(([1], "a"), ([2], "b"), ([3], "a"), ([4], "")))
    assert not found.complete
    assert found.why == "page 3 gave a cursor that came before"


@pytest.mark.parametrize(
    "failure",
    [httpx.Response(503), httpx.Response(400, json={"code": "bad_cursor"}), httpx.Response(200, content=b"<"),
     httpx.Response(200, json={"trades": [{"trade_id": "x"}]}), httpx.Response(200, json={"trades": {}})],
    ids=["503", "400", "no json", "a field is absent", "no list"],
)  # fmt: skip
def test_a_page_that_fails_keeps_the_pages_before_it_and_is_told(failure):
    found = trades(Pages(([1, 2], "a"), failure))
    assert ids(found) == ["t1", "t2"]
    assert not found.complete
    assert found.why.startswith("page 2 failed: GET /markets/trades")


def test_a_first_page_that_fails_is_an_incomplete_set_and_no_empty_list():
    found = trades(Pages(httpx.Response(503)))
    assert (found.items, found.complete, found.pages) == ((), False, 0)


def test_items_that_come_twice_because_data_moved_are_kept_once_and_counted():
    found = trades(Pages(([1, 2], "a"), ([2, 3], "")))
    assert ids(found) == ["t1", "t2", "t3"]
    assert found.repeated == 1


def test_a_null_list_is_an_empty_one():
    found = trades(Pages((None, "")))
    assert (found.items, found.complete) == ((), True)


def test_combos_are_left_out_of_a_filter_and_told_where_they_are_named():
    asked = []

    def answer(request):
        asked.append(dict(request.url.params))
        return httpx.Response(200, json={"markets": [], "cursor": ""})

    calls = PublicCalls(transport(answer))
    run(calls.markets(series="KXA"))
    run(calls.markets(tickers=["KXMVEA-1", "KXA-1"]))
    assert [each.get("mve_filter") for each in asked] == ["exclude", None]
    assert asked[1]["tickers"] == "KXMVEA-1,KXA-1"
