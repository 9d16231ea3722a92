"""Best prices: of the book, of an order, of the journal; what a journal may hold of them."""

import pytest
from made.execution import A, B

from kalshi_platform.domain.errors import DataError
from kalshi_platform.trading.execution.last_prices import PRICES, LastPrices


def test_the_books_prices_count_before_an_orders_and_those_before_the_journals(bench):
    keeper = bench.executor._keeper
    prices = LastPrices(keeper.journal)
    assert prices.known(A) is prices.seen(A) is None
    prices.order_at(A, (3_000, None))
    prices.keep([A, B, A], keeper)
    assert keeper.journal.meta(PRICES) == f'{{"{A}":[3000,null]}}'
    again = LastPrices(keeper.journal)
    assert (again.known(A), again.seen(A)) == ((3_000, None), None)
    again.order_at(A, (3_100, 3_200))
    assert again.known(A) == (3_100, 3_200)
    again.see(A, (None, None))  # both sides are empty: that is known
    assert again.known(A) == again.seen(A) == (None, None)
    again.keep([], keeper)
    assert keeper.journal.meta(PRICES) == "{}"


def test_prices_of_an_order_are_in_the_journal_while_it_may_be_there(bench):
    bench.account.next_create.append("lost")
    bench.submit(seen={"bid_e4": 3_900, "ask_e4": 4_000})
    assert bench.executor._keeper.journal.meta(PRICES) == f'{{"{A}":[3900,4000]}}'
    bench.calm(60)
    assert bench.executor._keeper.journal.meta(PRICES) == "{}"


@pytest.mark.parametrize(
    "text", ["[]", "{", "7", f'{{"{A}":1}}', f'{{"{A}":[1]}}', f'{{"{A}":[1,10001]}}', f'{{"{A}":[true,2]}}']
)
def test_prices_that_cannot_be_are_damage(bench, text):
    bench.executor._keeper.journal.set_meta(PRICES, text)
    bench.close()
    with pytest.raises(DataError, match="its prices are"):
        bench.open()
    bench._executor = None
