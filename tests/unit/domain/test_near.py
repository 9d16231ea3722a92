"""The nearest names: few wrong letters, parts of a name, and short forms; nothing where nothing is near."""

import pytest

from kalshi_platform.domain.near import did_you_mean, nearest

NAMES = {
    "train.learning_rate": "size of a step",
    "train.entropy_coeff": "bonus",
    "train.seed": "",
    "env.latency_ms": "delay",
    "env.fee_scale_e6": "fees",
    "episodes.max_steps": "longest",
    "train.total_env_steps": "length",
    "train.clip": "clip",
    "curriculum.name": "order",
}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("train.leanring_rate", "train.learning_rate"),  # two letters changed places
        ("learning_rate", "train.learning_rate"),  # no section
        ("train.lr", "train.learning_rate"),  # the first letters of both parts
        ("env.learning-rate", "train.learning_rate"),  # another section, another dash
        ("train.ent_coef", "train.entropy_coeff"),  # beginnings of both parts
        ("entropy", "train.entropy_coeff"),  # one part
        ("TRAIN.SEED", "train.seed"),
        ("train.env_steps", "train.total_env_steps"),
    ],
)
def test_the_nearest_name_comes_first(asked, found):
    assert nearest(asked, NAMES)[0] == found


def test_of_two_equal_names_the_one_of_the_asked_section_comes_first():
    assert nearest("b.seed", ["a.seed", "b.seed_x", "b.seed"])[0] == "b.seed"
    assert nearest("b.rate", ["a.rate", "b.rates"])[:1] == ["a.rate"]


@pytest.mark.parametrize("asked", ["", "train.", "xyz", "q"])
def test_nothing_is_near_a_name_that_resembles_none(asked):
    assert nearest(asked, NAMES) == []


def test_no_more_than_asked_for_are_found():
    assert len(nearest("steps", ["a_steps", "b_steps", "c_steps", "d_steps"], most=2)) == 2


def test_a_refusal_tells_the_meaning_of_the_nearest_names():
    assert did_you_mean("train.lr", NAMES) == "did you mean train.learning_rate (size of a step)?"
    assert did_you_mean("train.seeds", NAMES) == "did you mean train.seed?"


def test_where_nothing_is_near_all_names_are_told_and_few_with_their_meaning():
    assert did_you_mean("xyz", NAMES) == f"no name is near it; there are {', '.join(NAMES)}"
    assert did_you_mean("xyz", {"a": "first", "b": ""}) == "there are a (first), b"
