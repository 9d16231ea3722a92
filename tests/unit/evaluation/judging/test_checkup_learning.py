"""Each rule on how a policy was learned and chosen fires on its disease and is silent elsewhere."""

from made.checkups import CONFIG, at, facts, learned, result, says

from kalshi_platform.evaluation.judging import checkup_learning as learning
from kalshi_platform.evaluation.judging.checkup_facts import TrainSample


def trained(interval):
    return facts(train=TrainSample(mean_return=interval, n_blocks=24, of_blocks=130, n_events=30, seed=0))


def test_a_policy_that_remembers_its_training_events():
    sick = trained(at(0.05))
    says(learning.generalisation_gap, sick, "warning", r"5.000 % on training events \(24 of 130 blocks")
    says(learning.generalisation_gap, trained(at(0.05, half=0.04)), "info", "the intervals overlap")


def test_a_policy_that_generalises_or_never_learned_has_no_gap():
    assert learning.generalisation_gap(trained(at(0.02)), CONFIG) is None
    assert learning.generalisation_gap(trained(at(-0.02)), CONFIG) is None
    assert learning.generalisation_gap(facts(train=None), CONFIG) is None


def test_the_first_validation_is_the_best():
    sick = facts(training_metrics=learned(-0.1, -0.3, -0.2, -0.2001))
    found = says(learning.chosen_before_learning, sick, "warning", "iteration 0, validation 1 of 4")
    assert found.evidence["validations"] == 4


def test_of_many_validations_the_first_tenth_counts_as_early():
    scores = [-0.3 + 0.001 * k for k in range(35)]
    scores[2] = 0.0
    sick = facts(training_metrics=learned(*scores))
    says(learning.chosen_before_learning, sick, "warning", "validation 3 of 35")
    scores[2], scores[3] = -0.3, 0.0
    assert learning.chosen_before_learning(facts(training_metrics=learned(*scores)), CONFIG) is None


def test_a_run_that_learned_or_was_hardly_validated_is_not_blamed():
    assert learning.chosen_before_learning(facts(training_metrics=learned(0.0, 0.1, 0.2)), CONFIG) is None
    assert learning.chosen_before_learning(facts(training_metrics=learned(0.2, 0.1)), CONFIG) is None
    assert learning.chosen_before_learning(facts(training_metrics=()), CONFIG) is None


def test_a_score_that_is_no_number_is_never_the_best():
    sick = facts(training_metrics=learned(float("nan"), 0.3, 0.2, 0.1))
    assert learning.chosen_before_learning(sick, CONFIG) is None  # of four, the second is not early


def test_a_line_that_carries_the_last_validation_forward_is_no_further_one():
    rows = learned(0.1, 0.2, 0.3, every=7)
    assert [iteration for iteration, _ in learning.validations_of(rows)] == [0, 7, 14]
    assert learning.validations_of([{"iteration": 1, "validation": {}}, {"iteration": 2}]) == []


def test_the_best_validation_sent_no_order():
    sick = facts(training_metrics=learned(-0.1, 0.0, -0.2, trade_rate=0.0))
    says(learning.do_nothing_winner, sick, "error", "iteration 10.* chosen for doing nothing")


def test_a_winner_that_trades_or_of_which_nothing_is_known_is_not_idle():
    assert learning.do_nothing_winner(facts(training_metrics=learned(0.1, 0.2, 0.3)), CONFIG) is None
    assert learning.do_nothing_winner(facts(training_metrics=()), CONFIG) is None
    assert learning.idle_winner("w", None) is None


def test_few_events():
    says(learning.too_few_events, facts(result=result((4, 4, 4))), "info", "only 3 independent blocks")


def test_many_events_of_few_blocks_are_few():
    says(
        learning.too_few_events,
        facts(result=result(n_blocks=4)),
        "info",
        r"only 4 independent blocks \(12 ev",
    )
