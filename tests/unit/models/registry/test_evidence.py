"""Evidence of a promotion: shares of actions, what matches, and which gates refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made.registry_models import CHOICE, GOOD, made_evidence

from kalshi_platform.models.registry.evidence import GateJudgement, GateResult, Match, Performance


def result(name: str, words: str) -> GateResult:
    return GateResult(name=name, passed=not words, found="1", allowed="2", words=words)


def test_action_shares_are_worked_by_hand():
    # 800 + 60 + 40 + 60 + 40 = 1000 decisions
    assert GOOD.action_shares == {
        "HOLD": 0.8,
        "BUY_YES": 0.06,
        "SELL_YES": 0.04,
        "BUY_NO": 0.06,
        "SELL_NO": 0.04,
    }


@given(st.dictionaries(st.sampled_from(["HOLD", "BUY_YES", "SELL_YES"]), st.integers(0, 10**9), min_size=1))
def test_action_shares_sum_to_one_where_anything_was_decided(counts):
    shares = GOOD.replace(action_counts=counts).action_shares
    assert shares.keys() == counts.keys()
    assert sum(shares.values()) == pytest.approx(1.0 if sum(counts.values()) else 0.0)


def test_a_match_is_equal_where_nothing_changed():
    assert Match(name="action", recorded="a", found="a").equal
    assert not Match(name="action", recorded="a", found="b").equal


def test_a_judgement_passes_where_every_gate_does_and_else_gives_the_words_of_those_that_refuse():
    good, slow, few = result("return", ""), result("latency", "too slow"), result("events", "too few")
    passed = GateJudgement(evidence=made_evidence(), gates={}, results=(good,))
    assert passed.passed
    assert passed.refusals == ()
    refused = passed.replace(results=(slow, good, few))
    assert not refused.passed
    assert refused.refusals == ("too slow", "too few")


def test_evidence_comes_back_equal_from_its_json():
    judgement = GateJudgement(
        evidence=made_evidence(found=None), gates={"min_events": 3}, results=(result("a", "b"),)
    )
    again = GateJudgement.model_validate_json(judgement.model_dump_json())
    assert again == judgement
    assert again.digest == judgement.digest


def test_a_record_of_before_rules_were_chosen_loads_and_keeps_its_bytes():
    old = {k: v for k, v in GOOD.model_dump(mode="json").items() if k not in ("rules", "n_blocks")}
    assert Performance.parse(old).model_dump(mode="json") == old
    assert Performance.parse(GOOD.model_dump(mode="json")) == GOOD


def test_a_choice_names_its_best_rule_and_the_threshold_of_each():
    assert CHOICE.best.words == "imbalance > 0.5"
    assert (CHOICE.threshold_of("imbalance"), CHOICE.threshold_of("do_nothing")) == (0.5, None)
    assert CHOICE.threshold_of("spread_reversion") is None
    none = CHOICE.replace(rules=(), why_not="two blocks")
    assert none.best is None
