"""What is known against a model decides its place: sound, unknown, flawed, idle."""

from made.registry_models import GOOD, IDLE, OVERTRADING, flawed, made_policy, made_record

from kalshi_platform.models.registry.flaws import FITNESS_WORDS, Fitness, Flaw
from kalshi_platform.models.registry.record import ModelRecord

RECORD, _ = made_record(made_policy())


def test_a_record_of_an_earlier_release_is_unknown_and_keeps_its_bytes():
    assert RECORD.claims.flaws is None
    assert RECORD.fitness is Fitness.UNKNOWN
    assert "flaws" not in RECORD.model_dump(mode="json")["claims"]
    assert ModelRecord.parse(RECORD.model_dump(mode="json")) == RECORD


def test_errors_of_the_checkup_make_a_model_flawed_and_none_sound():
    assert flawed(RECORD).fitness is Fitness.SOUND
    assert flawed(RECORD, OVERTRADING).fitness is Fitness.FLAWED
    assert flawed(RECORD, OVERTRADING).flaws == (OVERTRADING,)
    assert flawed(RECORD).id == RECORD.id == flawed(RECORD).derived_id


def test_a_model_that_only_holds_or_fills_nothing_is_idle_also_in_an_old_record():
    old = RECORD.replace(
        claims=RECORD.claims.replace(performance=GOOD.replace(action_counts=IDLE)).model_dump()
    )
    assert old.fitness is Fitness.IDLE
    unfilled = Flaw(rule="policy_collapse", message="nothing ever fills", split="test", idle=True)
    assert flawed(RECORD, unfilled).fitness is Fitness.IDLE
    assert unfilled.words == "policy_collapse on the test events: nothing ever fills"


def test_the_order_puts_a_model_that_does_not_trade_last():
    assert sorted(Fitness) == [Fitness.SOUND, Fitness.UNKNOWN, Fitness.FLAWED, Fitness.IDLE]
    assert set(FITNESS_WORDS) == {Fitness.FLAWED, Fitness.IDLE}
