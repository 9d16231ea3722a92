"""Every gate made to refuse alone, with its words; one model passes them all."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made.registry_models import CHOICE, GOOD, SIMULATED, estimate, made_evidence

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.evaluation.promotion.gates import GateConfig, judge
from kalshi_platform.models.registry.evidence import Estimate, FeeResult, GateJudgement, Latency, Match
from kalshi_platform.models.registry.provenance import DataCount

UNKNOWN = Estimate(value=0.05, low=None, high=None)


def counts(judged_on):
    return {provenance: count.model_dump() for provenance, count in judged_on.items()}


def found(**changes: object):
    """Evidence that claims and found agree on, so that only the gate in question refuses."""
    performance = GOOD.replace(**changes)
    return made_evidence(found=performance.model_dump(), claimed=performance.model_dump())


def against(**differences: Estimate):
    """Evidence of a model with other differences to the baselines named."""
    return found(baselines={**GOOD.baselines, **differences})


def test_the_best_rule_alone_can_be_waived_and_the_judgement_keeps_that():
    waive = GateConfig(beat_best_rule=False)
    lost = judge(against(imbalance=estimate(-0.005)), waive)
    assert lost.passed
    assert lost.gates["beat_best_rule"] is False
    assert judge(found(rules=None), waive).passed
    assert not judge(against(do_nothing=estimate(0.009)), waive).passed
    assert not judge(against(random=estimate(-0.001)), waive).passed


def test_an_interval_above_zero_is_asked_against_nothing_and_the_best_rule_alone():
    assert judge(against(random=estimate(0.001), join_the_bid=estimate(0.002))).passed
    nothing = CHOICE.replace(rules=(CHOICE.rules[1].model_dump(), CHOICE.rules[0].model_dump()))
    assert judge(
        found(rules=nothing.model_dump(), baselines={**GOOD.baselines, "imbalance": estimate(0.001)})
    ).passed


def test_a_good_model_passes_every_gate():
    judgement = judge(made_evidence())
    assert judgement.passed
    assert judgement.refusals == ()
    assert [r.name for r in judgement.results] == [
        "digests", "dataset", "clean tree", "claims", "recorded", "baselines", "champion", "actions",
        "entropy", "fees", "drawdown", "latency",
    ]  # fmt: skip


def test_a_dataset_that_grew_passes_and_claims_of_its_earlier_state_are_not_compared():
    grown = tuple(
        Match(name=name, recorded="a" * 12, found="b" * 12, grown=True)
        for name in ("dataset", "claims' dataset")
    )
    other = GOOD.replace(mean_return=estimate(0.2), n_events=3)
    judgement = judge(made_evidence(datasets=grown, claimed=other))
    results = {result.name: result for result in judgement.results}
    assert judgement.passed
    assert results["dataset"].found == (
        "dataset aaaaaaaaaaaa grew to bbbbbbbbbbbb; claims' dataset aaaaaaaaaaaa grew to bbbbbbbbbbbb"
    )
    assert results["claims"].found == "of the earlier state aaaaaaaaaaaa, judged anew on bbbbbbbbbbbb"
    stranger = (grown[0].replace(grown=False), grown[1])
    assert not judge(made_evidence(datasets=stranger, claimed=other)).passed


FEW = {"recorded": DataCount(events=8, blocks=4), "quotes": DataCount(events=2, blocks=2)}
MIXED = {**FEW, "simulated": DataCount(events=90, blocks=90)}
REFUSED = [
    (
        "recorded",
        made_evidence(judged_on=counts(FEW)),
        "only 6 blocks of recorded data judged it (8 events in 4 blocks recorded, 2 events in 2 b",
    ),
    (
        "recorded",
        made_evidence(judged_on=None),
        "only 0 blocks of recorded data judged it (unknown), 10 are asked for",
    ),
    (
        "recorded",
        made_evidence(real_return=estimate(0.005)),
        "on recorded data alone its mean return is +0.50 % of capital (-0.50 % .. +1.50 %): its "
        "interval must",
    ),
    (
        "recorded",
        made_evidence(judged_on=counts(SIMULATED), not_simulated="tiny-00000000000a"),
        "it was judged on simulated data (12 events in 12 blocks simulated), and tiny-00000000000a had",
    ),
    (
        "recorded",
        made_evidence(judged_on=counts(MIXED), not_simulated="tiny-00000000000a"),
        "it was judged on simulated data (8 events in 4 blocks recorded, 2 events in 2 blocks q",
    ),
    (
        "digests",
        made_evidence(digests=(Match(name="action", recorded="a" * 12, found="b" * 12),)),
        "stale model: the action digest is bbbbbbbbbbbb in this program, the model was trained with aaa",
    ),
    (
        "dataset",
        made_evidence(datasets=(Match(name="dataset", recorded="a" * 12, found="b" * 12),)),
        "stale model: its dataset is aaaaaaaaaaaa, the one opened is bbbbbbbbbbbb",
    ),
    (
        "clean tree",
        made_evidence(commit="0123456789ab-dirty"),
        "it was trained from a changed checkout (0123456789ab-dirty)",
    ),
    ("clean tree", made_evidence(commit=None), "the run records no commit"),
    ("claims", made_evidence(claimed=None), "it was registered without being judged"),
    (
        "claims",
        made_evidence(claimed=GOOD.replace(mean_return=estimate(0.0502))),
        "it claims a mean return of +0.0502, found +0.0500; it claims a lower bound of +0.0402, found",
    ),
    (
        "baselines",
        against(imbalance=estimate(-0.005)),
        "it is not shown to beat the best rule on training events, imbalance > 0.5: difference -0.50 % of "
        "capital (-1.50 % .. +0.50 %), its interval must lie above 0",
    ),
    ("baselines", against(imbalance=UNKNOWN), "imbalance > 0.5: difference +5.00 % of capital (no interval)"),
    ("baselines", against(do_nothing=estimate(0.009)), "it is not shown to beat doing nothing: difference"),
    (
        "baselines",
        against(random=estimate(-0.001)),
        "it earns no more than random: difference -0.10 % of capital",
    ),
    ("baselines", against(random=Estimate(value=None, low=None, high=None)), "it earns no more than random"),
    (
        "baselines",
        found(baselines={"do_nothing": estimate(0.05), "random": estimate(0.04)}),
        "the best rule on training events, imbalance > 0.5 was not played beside it",
    ),
    (
        "baselines",
        found(baselines={"imbalance": estimate(0.02)}),
        "doing nothing was not played beside it",
    ),
    ("baselines", found(rules=None), "no rule was chosen on training events (nobody chose one), so nobody"),
    (
        "baselines",
        found(rules=CHOICE.replace(rules=(), why_not="the dataset has no train split").model_dump()),
        "no rule was chosen on training events (the dataset has no train split)",
    ),
    ("baselines", found(baselines={}), "no baseline was played"),
    (
        "champion",
        made_evidence(against_champion=estimate(0.005)),
        "it is not better than the champion tiny-000000000002: difference +0.50 % of "
        "capital (-0.50 % .. +1.50 %)",
    ),
    (
        "champion",
        made_evidence(against_champion=None, why_not="its weights are damaged"),
        "it was not compared with the champion tiny-000000000002: its weights are damaged. Roll back",
    ),
    (
        "actions",
        found(action_counts={"HOLD": 900, "BUY_YES": 96, "SELL_YES": 4, "BUY_NO": 0, "SELL_NO": 0}),
        "collapsed: 96.0% of its trades are BUY_YES, at most 95% may be",
    ),
    (
        "actions",
        found(action_counts={"HOLD": 9_995, "BUY_YES": 3, "SELL_YES": 2, "BUY_NO": 0, "SELL_NO": 0}),
        "collapsed: 99.95% of its decisions are HOLD, at most 99.9% may be",
    ),
    (
        "actions",
        found(action_counts={"HOLD": 10, "BUY_YES": 0, "SELL_YES": 0, "BUY_NO": 0, "SELL_NO": 0}),
        "collapsed: 100.00% of its decisions are HOLD",
    ),
    (
        "entropy",
        found(entropy_share=0.009),
        "collapsed: its probabilities keep +0.0090 of the largest entropy",
    ),
    ("entropy", found(entropy_share=None), "keep unknown of the largest entropy"),
    (
        "fees",
        found(fees=(FeeResult(scale=2.0, mean_return=estimate(-0.001)),)),
        "at 2 times the fees its mean return is -0.10 % of capital (-1.10 % .. +0.90 %): the edge is smaller",
    ),
    ("fees", found(fees=()), "it was not played at 2 times the fees"),
    (
        "drawdown",
        found(worst_drawdown=0.2501, worst_market_return=-0.2),
        "in its worst market it falls by 25.01% of the capital, at most 25.00% is allowed",
    ),
    (
        "latency",
        found(latency=Latency(p50_ms=0.2, p99_ms=2.01, wall_p99_ms=2.01, runs=500)),
        "too slow: a decision takes 2.01 ms at the 99th percentile, level tiny may take 2 ms",
    ),
    ("latency", made_evidence(level="vast"), "level 'vast' has no latency budget; there are tiny, simple"),
]


@pytest.mark.parametrize(
    ("gate", "evidence", "words"), REFUSED, ids=[f"{name}-{i}" for i, (name, *_) in enumerate(REFUSED)]
)
def test_each_gate_refuses_alone_and_says_why(gate, evidence, words):
    judgement = judge(evidence)
    assert [r.name for r in judgement.results if not r.passed] == [gate]
    (said,) = judgement.refusals
    assert words in said


def test_every_gate_has_a_case_that_refuses():
    assert {r.name for r in judge(made_evidence()).results} == {name for name, *_ in REFUSED}


def test_a_model_that_could_not_be_played_is_refused_without_figures():
    judgement = judge(made_evidence(found=None, why_not="its weights are damaged"))
    assert not judgement.passed
    assert judgement.refusals == ("its weights are damaged",)


@pytest.mark.parametrize("champion", [None, "tiny-000000000001"], ids=["no champion", "itself"])
def test_without_another_champion_there_is_nothing_to_beat(champion):
    assert judge(made_evidence(champion=champion, against_champion=None)).passed


def test_a_champion_that_nobody_can_play_is_replaced_only_on_purpose():
    evidence = made_evidence(against_champion=None, why_not="other feature table")
    assert not judge(evidence).passed
    assert judge(evidence, GateConfig(replace_unplayable=True)).passed


def test_budgets_are_those_of_the_levels():
    budgets = GateConfig().latency_budget_ms
    assert budgets == {"tiny": 2.0, "simple": 2.0, "moderate": 10.0, "advanced": 30.0, "complex": 50.0}


def test_a_judgement_is_json_and_comes_back_equal():
    judgement = judge(made_evidence())
    again = GateJudgement.parse(json.loads(judgement.model_dump_json()))
    assert again == judgement
    assert again.digest == judgement.digest


def test_an_unknown_threshold_is_refused():
    with pytest.raises(ContractError, match=r"GateConfig\.max_losses"):
        GateConfig().replace(max_losses=1)


@given(st.floats(-1, 1), st.floats(0, 0.5))
def test_a_lower_bound_decides_and_nothing_else(value, half):
    gap = estimate(value, half)
    passed = judge(made_evidence(against_champion=gap)).passed
    assert passed == (gap.low > 0)


@pytest.mark.parametrize("judged_on", [SIMULATED, MIXED])
def test_a_simulated_model_passes_where_no_other_had_the_alias_and_the_gate_names_what_counted(judged_on):
    evidence = made_evidence(judged_on=counts(judged_on), real_return=None, champion_standing="simulated")
    judgement = judge(evidence)
    assert judgement.passed
    (gate,) = [r for r in judgement.results if r.name == "recorded"]
    assert gate.found.startswith("simulated: ")
    assert "in 12 blocks simulated" in gate.found or "in 90 blocks simulated" in gate.found


def test_quotes_and_trade_implied_blocks_count_as_recorded_and_the_gate_says_which():
    judged_on = {
        "quotes": DataCount(events=30, blocks=6),
        "simulated": DataCount(events=90, blocks=90),
        "trade_implied": DataCount(events=4, blocks=4),
    }
    judgement = judge(made_evidence(judged_on=counts(judged_on)))
    (gate,) = [r for r in judgement.results if r.name == "recorded"]
    assert gate.passed
    assert "30 events in 6 blocks quotes" in gate.found
    assert "4 events in 4 blocks trade_implied" in gate.found


def test_a_model_of_real_data_follows_a_simulated_champion_that_it_does_not_beat():
    weak = made_evidence(champion_standing="simulated", against_champion=estimate(-0.02))
    assert judge(weak).passed
    assert not judge(weak.replace(champion_standing="real")).passed
    assert not judge(weak.replace(champion_standing="unknown")).passed
    assert not judge(
        weak.replace(judged_on=counts(SIMULATED))
    ).passed  # one simulated model must beat another


def test_no_setting_of_the_gate_takes_simulated_data_for_recorded():
    with pytest.raises(ContractError):
        GateConfig.parse({"min_recorded_blocks": 2})  # two blocks decide nothing
