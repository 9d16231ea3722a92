"""Marks of a model under an alias: the gated entry decides, else the record; unknown is never real."""

import pytest
from made.registry_models import IDLE, OVERTRADING, REAL, SIMULATED, flawed, made_policy, made_record

from kalshi_platform.models.registry.marks import all_marks, latest_not_simulated, marks_of
from kalshi_platform.models.registry.provenance import DataCount
from kalshi_platform.models.registry.store import CHALLENGER, CHAMPION, Registry


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path / "registry")


def add(registry, seed, judged_on):
    record, files = made_record(made_policy(seed=seed))
    claims = record.claims.replace(judged_on=judged_on and {k: v.model_dump() for k, v in judged_on.items()})
    return registry.add(record.replace(claims=claims.model_dump()), files)


def test_a_challenger_is_marked_by_its_record_and_passed_no_gate(registry):
    record = add(registry, 0, SIMULATED)
    registry.promote(CHALLENGER, record.id, reason="tried")
    marks = marks_of(record, registry.aliases(), CHALLENGER)
    assert marks.simulated
    assert not marks.passed_gates
    assert marks.fields["cautions"] == [
        "simulated: judged on simulated data only (12 events in 12 blocks simulated)",
        "passed no gate: do not trade by it",
    ]


def test_a_record_of_before_the_counting_is_unknown_and_not_taken_for_real(registry):
    record = add(registry, 0, None)
    registry.promote(CHAMPION, record.id, reason="passed", evidence="a" * 12)
    marks = marks_of(record, registry.aliases(), CHAMPION)
    assert (marks.standing, marks.simulated, marks.passed_gates) == ("unknown", True, True)
    assert "unknown, so it counts as simulated" in marks.cautions[0]


def test_the_gates_later_judgement_on_real_data_counts_more_than_the_record(registry):
    record = add(registry, 0, SIMULATED)
    judged = {"evidence": "a" * 12, "reason": "passed"}
    registry.promote(CHAMPION, record.id, standing="simulated", judged_on=SIMULATED, **judged)
    assert marks_of(record, registry.aliases(), CHAMPION).simulated
    registry.promote(CHAMPION, record.id, standing="real", judged_on=REAL, **judged)
    marks = marks_of(record, registry.aliases(), CHAMPION)
    assert not marks.simulated
    assert marks.cautions == ()
    assert all_marks(record, registry.aliases()) == marks


def test_a_rollback_brings_back_the_marks_with_the_model(registry):
    simulated, real = add(registry, 0, SIMULATED), add(registry, 1, REAL)
    for record, standing in ((simulated, "simulated"), (real, "real")):
        registry.promote(
            CHAMPION, record.id, reason="passed", evidence="a" * 12, standing=standing,
            judged_on=record.judged_on,
        )  # fmt: skip
    assert not marks_of(real, registry.aliases(), CHAMPION).simulated
    registry.rollback(CHAMPION, reason="looked odd")
    marks = marks_of(simulated, registry.aliases(), CHAMPION)
    assert marks.simulated
    assert marks.passed_gates
    assert not marks_of(real, registry.aliases(), CHAMPION).passed_gates  # it has no alias any more


def test_a_model_judged_anew_goes_back_to_the_one_before_it_in_one_step(registry):
    first, second = add(registry, 0, REAL), add(registry, 1, SIMULATED)
    registry.promote(CHAMPION, first.id, reason="passed")
    registry.promote(CHAMPION, second.id, reason="passed", standing="simulated")
    registry.promote(CHAMPION, second.id, reason="judged anew", standing="real")
    assert registry.rollback(CHAMPION, reason="odd").model == first.id


def test_few_real_blocks_are_said(registry):
    record = add(registry, 0, {"quotes": DataCount(events=4, blocks=2)})
    assert marks_of(record, registry.aliases(), "").cautions[0] == (
        "judged on little real data: 2 of 10 blocks"
    )


def test_an_alias_that_a_real_or_unknown_model_had_is_no_simulated_one(registry):
    simulated, unknown = add(registry, 0, SIMULATED), add(registry, 1, None)
    registry.promote(CHAMPION, unknown.id, reason="long ago")
    registry.promote(CHAMPION, simulated.id, reason="passed", standing="simulated")
    log = registry.aliases()
    assert latest_not_simulated(registry, log, CHAMPION, simulated.id) == unknown.id
    assert latest_not_simulated(registry, log, CHAMPION, unknown.id) is None
    registry.promote(CHAMPION, unknown.id, reason="judged anew", standing="simulated")
    assert latest_not_simulated(registry, registry.aliases(), CHAMPION, simulated.id) is None


def test_a_model_that_does_not_trade_or_is_flawed_says_so_first_in_every_answer(registry):
    record, _ = made_record(made_policy())
    log = registry.aliases()
    idle = marks_of(flawed(record, OVERTRADING, action_counts=IDLE), log, CHALLENGER)
    assert idle.fields["cautions"][0] == "does not trade: it filled no order on the events that judged it"
    wrong = marks_of(flawed(record, OVERTRADING, OVERTRADING), log, CHALLENGER)
    assert wrong.cautions[0] == "errors of its checkup: overtrading"
    assert not any("checkup" in said for said in marks_of(flawed(record), log, CHALLENGER).cautions)
