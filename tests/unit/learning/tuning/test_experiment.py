"""A question as data: its variants are the same on every machine and are checked before anything starts."""

import pytest
from ray import tune

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.learning.training.folder import MAY_MUTATE
from kalshi_platform.learning.training.session import RunSettings
from kalshi_platform.learning.tuning.experiment import Experiment, mutations, space_in_words, variants


def made(space, **sweep) -> Experiment:
    asked = Experiment("made", "Is it so?", "No.", space, RunSettings())
    return asked.with_settings({}, sweep)


def test_lists_make_a_grid_and_domains_are_drawn_for_each_point_of_it():
    asked = made({"train.level": ["tiny", "simple"], "train.gamma": tune.uniform(0.9, 0.99)}, samples=3)
    found = variants(asked, asked.sweep)
    assert [v.values["train.level"] for v in found] == ["tiny"] * 3 + ["simple"] * 3
    drawn = [v.values["train.gamma"] for v in found]
    assert len(set(drawn)) == 6
    assert all(0.9 <= gamma <= 0.99 for gamma in drawn)
    assert [v.settings.train.gamma for v in found] == drawn
    assert len({v.id for v in found}) == 6


def test_the_same_seed_draws_the_same_variants_and_another_seed_others():
    asked = made({"train.gamma": tune.uniform(0.9, 0.99)}, samples=2)
    assert variants(asked, asked.sweep) == variants(asked, asked.sweep)
    other = made({"train.gamma": tune.uniform(0.9, 0.99)}, samples=2, seed=1)
    assert variants(asked, asked.sweep)[0].values != variants(other, other.sweep)[0].values


def test_an_arm_sets_several_settings_at_once():
    arm = {"env.order_style": "maker", "env.improve_ticks": 1}
    asked = made({"style": [{"env.order_style": "taker"}, arm]})
    found = variants(asked, asked.sweep)
    assert (found[1].settings.env.order_style, found[1].settings.env.improve_ticks) == ("maker", 1)
    assert found[1].values == {"style": arm}


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ({"train.leanring_rate": [1e-3]}, "unknown setting 'train.leanring_rate'"),
        ({"train.gamma": [0.9, 1.5]}, "train.gamma = 1.5"),
        ({}, "empty search space"),
    ],
)
def test_a_wrong_setting_is_named_before_anything_starts(space, words):
    asked = made(space)
    with pytest.raises(ContractError, match=words):
        variants(asked, asked.sweep)


def test_a_setting_the_space_varies_cannot_be_set_for_every_trial():
    with pytest.raises(ContractError, match=r"made varies env\.order_style"):
        made({"style": [{"env.order_style": "taker"}]}).with_settings({"env.order_style": "maker"}, {})


def test_a_population_changes_only_what_may_change_in_the_middle_of_a_run():
    assert set(mutations({"train.gamma": [0.9, 0.99]}, MAY_MUTATE)) == {"gamma"}
    with pytest.raises(
        ContractError, match=r"scheduler pbt cannot vary env\.latency_ms in the middle of a run"
    ):
        mutations({"train.gamma": [0.9], "env.latency_ms": [50]}, MAY_MUTATE)


def test_what_was_searched_is_recorded_in_words():
    assert space_in_words({"train.level": ["tiny"], "train.gamma": tune.uniform(0.9, 0.99)}) == {
        "train.level": ["tiny"],
        "train.gamma": "float (0.9, 0.99)",
    }


def test_a_trials_name_covers_everything_that_decides_its_numbers():
    space = {"train.gamma": [0.9]}

    def name(asked: Experiment, *data: str) -> str:
        (variant,) = variants(asked, asked.sweep, data)
        return variant.id

    asked = made(space)
    other = made(space).with_settings({"train.learning_rate": 0.003}, {})
    names = {name(asked, "data1", "fea7"), name(asked, "data2", "fea7"), name(asked, "data1", "fea8"),
             name(other, "data1", "fea7"), name(made(space, seed=1), "data1", "fea7")}  # fmt: skip
    assert len(names) == 5
    assert name(asked, "data1", "fea7") == name(made(space), "data1", "fea7")
