"""What identifies a registered model: digests that old registries carry must stay what they are."""

from made.registry_models import made_policy, made_record

from kalshi_platform.models.networks.levels import level_named
from kalshi_platform.models.networks.spec import PolicySpec
from kalshi_platform.models.registry.record import Digests, ModelRecord, digests_of


def test_the_digests_of_a_policy_are_those_that_old_registries_carry():
    spec = PolicySpec(
        level=level_named("moderate"),
        n_slots=3,
        market=("yes_mid", "spread"),
        portfolio=("position",),
        n_history=16,
        feature_digest="000000000000",
        groups=("orderbook",),
    )
    # as computed at commit a4bb0a9; a registered model whose digests differ is refused
    assert digests_of(spec) == Digests(
        observation="708da625b95a", action="5a2420edf59b", feature="000000000000"
    )


def test_a_record_of_before_the_data_were_counted_reads_as_unknown_under_its_old_id_and_bytes():
    record, _ = made_record(made_policy())
    counted = record.model_dump(mode="json")
    old = {k: v for k, v in counted.items() if k != "trained_on"}
    old["claims"] = {k: v for k, v in old["claims"].items() if k != "judged_on"}
    read = ModelRecord.parse(old)
    assert (read.trained_on, read.judged_on) == (None, None)
    assert read.derived_id == record.derived_id == read.id
    assert read.model_dump(mode="json") == old
    assert read.worlds == ()
