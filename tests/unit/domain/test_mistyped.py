"""Advice for mistyped names."""

from kalshi_platform.domain.mistyped import meant, refused_choice


def test_the_nearest_name_is_told_and_nothing_where_none_is_near():
    assert meant("trian", ["train", "tiers"]) == "; did you mean train?"
    assert meant("--datset", ["--dataset", "--out"]) == "; did you mean --dataset?"
    assert meant("zzz", ["train", "tiers"]) == ""
    assert meant("--", ["--dataset"]) == ""
    assert meant("anything", []) == ""


def test_a_value_that_is_no_choice_is_refused_with_the_choices():
    assert refused_choice("--split", "tets", ["train", "test"]) == (
        "--split 'tets' is none of train, test; did you mean test?"
    )
    assert refused_choice("--split", "xyz", ["train", "test"]) == "--split 'xyz' is none of train, test"
