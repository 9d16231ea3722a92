"""Factors: kin under every name they have, a mapping file that says better, and refusals with their line."""

import json

import pytest

from kalshi_platform.data.dataset.factors import FactorRule, Factors, read_factors
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.market import MarketSpec


def market(event, series=None, category=None, name="A"):
    return MarketSpec(ticker=f"{event}-{name}", event=event, series=series, category=category)


def factor(*markets, rules=(), known=()):
    return Factors(rules, [*known, *markets]).of(markets)


@pytest.mark.parametrize(
    ("event", "category", "expected"),
    [
        ("KXBTC15M-26AUG171200", None, "crypto"),
        ("KXETH15M-26AUG171200", None, "crypto"),
        ("KXSOLD-26AUG1712", None, "crypto"),
        ("KXBTCD-26APR1812", "Crypto", "crypto"),
        ("HIGHCHI-24MAR02", None, "weather"),
        ("KXHIGHMIA-25JAN01", "Climate and Weather", "weather"),
        ("KXLOWTDEN-26AUG01", None, "weather"),
        ("INXD-23APR10", None, "financials"),
        ("KXMLBGAME-26AUG07BOSNYY", None, "sports"),
        ("KXPRES-28", "Elections", "politics"),
        ("KXX-1", "Science and Technology", "science-and-technology"),
    ],
)
def test_every_name_of_a_factor_is_the_same_factor(event, category, expected):
    found = factor(market(event, category=category))
    assert (found.name, found.is_assumed) == (expected, False)


def test_an_unknown_series_is_a_factor_of_its_own_and_says_that_it_was_assumed():
    found = factor(market("KXGREATIDEA-26AUG01"))
    assert (found.name, found.is_assumed) == ("GREATIDEA", True)
    assert factor(market("GREATIDEA-25AUG01")).name == "GREATIDEA"
    # ETHANOL begins like the coin ETH and is none.
    assert factor(market("KXETHANOL-26AUG01")).is_assumed


def test_an_event_without_category_takes_that_of_its_series():
    kin = market("KXGREATIDEA-26AUG02", category="World")
    found = factor(market("KXGREATIDEA-26AUG01"), known=[kin])
    assert (found.name, found.is_assumed) == ("world", False)


def test_a_mapping_file_says_better_and_its_longest_prefix_wins(tmp_path):
    table = tmp_path / "factors.csv"
    table.write_text("prefix,factor\n# cities\nKXHIGH,heat\nKXHIGHNY,east coast\n\n")
    rules = read_factors(table)
    assert factor(market("KXHIGHCHI-25JAN01", category="Climate"), rules=rules).name == "heat"
    assert factor(market("KXHIGHNY-25JAN01", category="Climate"), rules=rules).name == "east-coast"
    assert factor(market("KXBTC15M-1"), rules=rules).name == "crypto"
    document = tmp_path / "factors.json"
    document.write_text(json.dumps({"KXHIGHNY": "east coast", "KXHIGH": "heat"}))
    assert read_factors(document) == rules


def test_an_event_with_two_factors_is_refused_with_both_rules(tmp_path):
    table = tmp_path / "factors.csv"
    table.write_text("E-A,one\nE-B,two\n")
    with pytest.raises(ContractError, match=r"event E two factors \(E-A -> one, E-B -> two\).*prefix E or"):
        factor(market("E"), market("E", name="B"), rules=read_factors(table))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("KXBTC,crypto\nKXETH\n", r"factors\.any: line 2: 1 cells; expected two"),
        ("KXBTC,crypto\nKXBTC,coins\n", r"line 2: prefix KXBTC -> coins, but .*line 1 says crypto"),
        ("KXBTC,cry@pto\n", r"line 1: factor 'cry@pto' is none"),
        ("KX BTC,crypto\n", r"line 1: prefix 'KX BTC' is none"),
        ("prefix,factor\n", r"no line with a prefix"),
        ('{"KXBTC": "crypto",\n "KXETH": 7}', r"line 2, entry 2: factor of 'KXETH' is 7"),
        ('{"KXBTC": "crypto",\n "KXBTC": "coins"}', r"entry 2: prefix KXBTC -> coins"),
        ('{"KXBTC": ', r"factors\.any: no JSON"),
        ("[1]", r"a list; expected one object"),
    ],
)
def test_a_broken_mapping_file_is_refused_by_line(tmp_path, text, message):
    path = tmp_path / "factors.any"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_factors(path)


def test_a_mapping_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.csv: cannot be read"):
        read_factors(tmp_path / "none.csv")


def test_a_factor_of_a_mapping_file_is_the_one_that_the_category_names(tmp_path):
    path = tmp_path / "factors.csv"
    path.write_text("# ours\nPrefix,Factor\nSNOWDAY,Climate and Weather\nTIDE,WEATHER\nROW,my boats\n")
    rules = read_factors(path)
    assert {rule.factor for rule in rules} == {"weather", "my-boats"}
    known = market("KXHIGHNY-1", category="Climate and Weather")
    assert factor(market("TIDE-1"), rules=rules).name == factor(known, rules=rules).name


def test_lines_that_fit_no_event_are_named():
    rules = [FactorRule(prefix=prefix, factor="crypto") for prefix in ("kxbtc", "KXETH", "KXETHD-26")]
    factors = Factors(rules, [])
    events = [[market("KXETHD-26AUG", name="T1"), market("KXETHD-26AUG", name="T2")], [market("KXBTC-1")]]
    assert factors.unfitting(events) == ("kxbtc",)
    assert factors.unfitting([]) == ("KXETH", "KXETHD-26", "kxbtc")


@pytest.mark.parametrize(
    ("text", "message"),
    [("A,b\nB," + "x" * 200_000, "line 2: no CSV"), ('{"A":' * 100_000, "no JSON")],
)
def test_a_mapping_file_that_no_reader_can_take_is_refused(tmp_path, text, message):
    path = tmp_path / "factors"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_factors(path)
