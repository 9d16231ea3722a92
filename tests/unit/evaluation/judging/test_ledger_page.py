"""What a page shows of a ledger: values in the words of the page, links from a trade to its plot."""

import pytest

from kalshi_platform.evaluation.judging.ledger_page import (
    cents,
    contracts,
    ledger_values,
    moment,
    rules_words,
)


@pytest.mark.parametrize(("price_e4", "text"), [(5_100, "51 c"), (5_125, "51.25 c"), (0, "0 c"), (None, "-")])
def test_a_price_is_written_in_cents(price_e4, text):
    assert cents(price_e4) == text


def test_sizes_and_times_are_written_exactly():
    assert (contracts(1_050), contracts(1_234_500), contracts(1)) == ("10.5", "12,345", "0.01")
    assert moment(1_700_000_000_999_999_999) == "2023-11-14 22:13:20"


def test_every_plotted_market_can_be_linked_by_its_ticker_and_seed(judged_with_ledger):
    found, ledger = judged_with_ledger
    values = ledger_values(found, ledger)
    assert len(values["plots"]) == len(ledger.plays)
    for (ticker, seed), k in values["play_links"].items():
        play = ledger.plays[k - 1]
        assert (play.market.ticker, play.seed) == (ticker, seed)
    assert values["many_seeds"]
    assert values["windows"]


def test_without_a_ledger_nothing_of_it_is_shown(judged):
    values = ledger_values(judged, None)
    assert values["ledger"] is None
    assert (values["listed"], values["plots"], values["play_links"]) == ((), [], {})


def test_the_rules_name_how_many_plays_each_chooses():
    assert rules_words().startswith("largest profit (3), deepest loss (3), ")
