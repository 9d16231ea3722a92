"""The first line of every report never says more than the figures do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made.registry_models import GOOD, estimate

from kalshi_platform.evaluation.judging.worth import WorthFigures, claims_figures, worth
from kalshi_platform.models.registry.evidence import Estimate

returns = st.floats(-1, 1, allow_nan=False)
estimates = st.one_of(
    st.builds(
        lambda a, b, c: Estimate(value=sorted((a, b, c))[1], low=min(a, b, c), high=max(a, b, c)),
        returns, returns, returns,
    ),
    st.builds(lambda a: Estimate(value=a, low=None, high=None), returns),
    st.just(Estimate(value=None, low=None, high=None)),
)  # fmt: skip
counts = st.dictionaries(
    st.sampled_from(["simulated", "recorded", "quotes", "trade_implied"]), st.integers(0, 50)
)
many_figures = st.builds(
    WorthFigures,
    blocks=counts,
    n_blocks=st.integers(0, 60),
    earned=estimates,
    rule=st.one_of(st.none(), st.just("imbalance > 0.35")),
    why_no_rule=st.sampled_from(["", "the dataset has no train split"]),
    against_rule=st.one_of(st.none(), estimates),
    n_taught=st.sampled_from([0, 0, 1, 1_200]),
    of_another=st.booleans(),
)


@given(many_figures)
def test_no_line_claims_more_than_its_figures(figures):
    line = worth(figures)
    real = [name for name, n in figures.blocks.items() if n > 0 and name != "simulated"]
    gap, earned = figures.against_rule, figures.earned
    assert "\n" not in line
    assert f"{figures.n_blocks:,} independent block" in line
    if figures.blocks.get("simulated"):
        assert "Simulated" in line
        assert "says nothing about a market" in line
    assert ("NOT HELD OUT" in line) == (figures.n_taught > 0)
    assert ("NOT KNOWN TO BE HELD OUT" in line) == (figures.of_another and not figures.n_taught)
    if not real:
        assert "ecorded" not in line.replace("recorded and", "")
    if "Better than" in line:
        assert figures.rule is not None
        assert gap is not None
        assert gap.low is not None
        assert gap.low > 0
        assert figures.n_blocks >= 3
    if "Earns" in line:
        assert earned.low is not None
        assert earned.low > 0
        assert figures.n_blocks >= 3
    if figures.n_blocks < 3:
        assert line.endswith(f"n = {figures.n_blocks}, decides nothing.")
    elif figures.rule is None or gap is None:
        assert "Not judged against" in line


def stood(**changes) -> WorthFigures:
    return WorthFigures(
        blocks={"simulated": 25},
        n_blocks=25,
        earned=estimate(0.058),
        rule="imbalance > 0.35",
        against_rule=estimate(-0.005),
    ).replace(**changes)


def test_a_policy_that_a_rule_equals_is_said_to_be_no_better():
    assert worth(stood()) == (
        "Simulated: a result in a world that nothing here names (it may display a mispricing of about 5 c, "
        "as planted_imbalance does) says nothing about a market. NOT shown to be better than the best rule "
        "on training events (imbalance > 0.35): difference -0.50 % [-1.5 %, 0.50 %]. Earns "
        "5.8 % [4.8 %, 6.8 %] of the capital a block. On 25 "
        "independent blocks."
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"against_rule": estimate(0.02)}, "Better than the best rule on training events (imbalance > 0.35)"),
        ({"against_rule": estimate(-0.02)}, "WORSE than the best rule"),
        ({"against_rule": None}, "Not judged against the best rule"),
        ({"rule": None, "why_no_rule": "the dataset has no train split"}, "(the dataset has no train split)"),
        ({"earned": estimate(0.005)}, "NOT shown to earn anything: 0.50 %"),
        ({"earned": estimate(-0.05)}, "LOSES: -5.0 %"),
        ({"worlds": ("calibrated",)}, "a result in the world calibrated (agents on a matching core, "),
        ({"worlds": ("martingale", "x")}, "nothing to learn) and the world x (this program does not "),
        ({"blocks": {}}, "Source of the data not known: take them for simulated."),
        ({"blocks": {"quotes": 5, "trade_implied": 20}}, "Recorded data (blocks: quotes 5, trade-implied 2"),
        ({"blocks": {"simulated": 5, "recorded": 20}}, "mixed (blocks: recorded 20, simulated 5): a result"),
        ({"n_blocks": 2}, "On 2 independent blocks: n = 2, decides nothing."),
        ({"n_blocks": 1}, "On 1 independent block: n = 1, decides nothing."),
    ],
)  # fmt: skip
def test_every_case_has_its_words(changes, words):
    assert words in worth(stood(**changes))


def test_two_blocks_claim_neither_a_rule_nor_a_return():
    line = worth(stood(n_blocks=2, against_rule=estimate(0.5)))
    assert "Better" not in line
    assert "Earns" not in line


def test_a_model_s_record_stands_by_its_own_figures():
    got = claims_figures(GOOD, {"simulated": 12}, ("martingale",))
    assert got.against_rule == GOOD.baselines["imbalance"]
    assert worth(got).startswith("Simulated: a result in the world martingale (")
    assert "Better than the best rule on training events (imbalance > 0.5)" in worth(got)
    old = claims_figures(GOOD.replace(rules=None), {}, ())
    assert "its record is of an earlier version" in worth(old)


def test_training_events_are_named_before_anything_is_claimed():
    sure = Estimate(value=0.05, low=0.02, high=0.08)
    figures = WorthFigures(
        blocks={"quotes": 40}, n_blocks=40, earned=sure, rule="imbalance > 0.5", against_rule=sure, n_taught=1
    )
    assert worth(figures).startswith(
        "Recorded data (blocks: quotes 40). NOT HELD OUT: 1 of the events judged is a training event, which "
        "taught the policy or may have;"
    )
    assert worth(figures).index("NOT HELD OUT") < worth(figures).index("Better than")
    few = figures.replace(n_blocks=2, n_taught=2_000)
    assert "2,000 of the events judged are training events" in worth(few)


def test_a_policy_that_does_not_trade_is_said_to_in_the_first_words():
    idle = GOOD.replace(action_counts={"HOLD": 10, "BUY_YES": 0})
    assert worth(claims_figures(idle, {"recorded": 12}, ())).startswith("Does not trade: not one order")
    assert "not trade" not in worth(claims_figures(GOOD, {"recorded": 12}, ()))
