"""Which feature sets pay: the book alone, then one set more a trial, then all."""

from made.experiments import check_smoke, values_of

from kalshi_platform.data.features.spec import ROW_FEATURE_SETS
from tune_experiments import feature_groups


def test_each_set_is_added_once_to_the_book_and_the_clock_and_all_come_last():
    arms = [v["env.groups"] for v in values_of(feature_groups.EXPERIMENT)]
    assert arms[0] == ("orderbook",)
    assert arms[1] == ("orderbook", "temporal")
    assert arms[-1] == ROW_FEATURE_SETS
    added = [set(arm) - {"orderbook", "temporal"} for arm in arms[2:-1]]
    assert [len(sets) for sets in added] == [1] * (len(ROW_FEATURE_SETS) - 2)
    assert set.union(*added) == set(ROW_FEATURE_SETS) - {"orderbook", "temporal"}


def test_its_small_form_sets_the_book_beside_everything():
    assert [v["env.groups"] for v in check_smoke(feature_groups)] == [("orderbook",), ROW_FEATURE_SETS]
