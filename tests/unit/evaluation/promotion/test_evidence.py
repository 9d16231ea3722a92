"""Evidence read from an evaluation and a record, without trusting the record's claims."""

from types import SimpleNamespace

import pytest
from made.evaluation_bank import bank_of, in_block, market, random_bank
from made.judging import ENV, QUICK
from made.registry_models import DATASET, GOOD, made_policy, made_record

from kalshi_platform.evaluation.judging.evaluate import evaluate
from kalshi_platform.evaluation.promotion.evidence import (
    _match_datasets,
    _real_return,
    judged_environment,
    judging_config,
    performance_of,
)
from kalshi_platform.models.rules.baselines import HoldToSettlement
from kalshi_platform.simulation.envs.config import EnvConfig

DOLLAR = 10_000


@pytest.fixture(scope="module")
def holding():
    return evaluate(lambda env: HoldToSettlement(env.layout, env.bank), random_bank(6, 2, 80), ENV, QUICK)


def test_the_figures_the_gates_ask_for_are_those_of_the_evaluation(holding):
    found = performance_of(holding, GOOD.latency)
    assert found.mean_return.value == holding.score
    assert found.baselines.keys() == {"do_nothing", "random", "hold_to_settlement", "join_the_bid"}
    assert found.baselines["hold_to_settlement"].value == 0.0  # the same policy: nothing to gain
    assert [f.scale for f in found.fees] == [0.0, 0.5, 1.0, 2.0]
    assert {f: e.value for f, e in found.fee_times.items()} == dict.fromkeys(
        ("as_of", "today"), holding.score
    )
    assert sum(found.action_counts.values()) == sum(holding.policy.trading.action_counts)
    assert found.action_counts["SELL_YES"] == 0
    worst = min(m.mean_return for m in holding.policy.markets)
    assert found.worst_market_return == worst
    assert {m.ticker: m.mean_return for m in holding.policy.markets}[found.worst_market] == worst
    assert found.latency == GOOD.latency


def test_the_return_on_real_data_is_the_mean_over_its_blocks_and_simulated_ones_stay_out():
    rise, fall = [4_000, 4_500, 5_000, 6_000] * 8, [6_000, 5_500, 5_000, 4_000] * 8
    bank = bank_of(
        in_block(market("A-1", "A", rise, DOLLAR, "recorded"), "weather"),
        in_block(market("B-1", "B", fall, 0, "recorded"), "weather"),
        market("C-1", "C", rise, DOLLAR, "quotes"),
        market("D-1", "D", fall, 0, "trade_implied"),
        *(market(f"S-{k}", f"S{k}", fall, DOLLAR) for k in range(4)),
    )
    judged = evaluate(lambda env: HoldToSettlement(env.layout, env.bank), bank, ENV, QUICK)
    of = {m.ticker: m.mean_return for m in judged.policy.markets}
    found = _real_return(judged, bank, QUICK.bootstrap)
    expected = ((of["A-1"] + of["B-1"]) / 2 + of["C-1"] + of["D-1"]) / 3  # A and B are one block
    assert found.value == pytest.approx(expected)
    assert len({round(value, 9) for value in of.values()}) > 1
    simulated = bank_of(*(market(f"S-{k}", f"S{k}", fall, DOLLAR) for k in range(4)))
    alone = evaluate(lambda env: HoldToSettlement(env.layout, env.bank), simulated, ENV, QUICK)
    assert _real_return(alone, simulated, QUICK.bootstrap) is None


def test_a_model_is_judged_at_full_fees_and_behind_the_queue_whatever_it_was_trained_with():
    cheap = EnvConfig(n_slots=2, fee_scale_e6=500_000, decision_interval_ms=30_000, maker_queue=False)
    record, _ = made_record(made_policy(), cheap.model_dump(mode="json"))
    judged = judged_environment(record)
    assert (judged.fee_scale_e6, judged.fees, judged.maker_queue) == (1_000_000, "today", True)
    assert judged.replace(fee_scale_e6=500_000, fees="as_of", maker_queue=False) == cheap


def test_the_validation_split_is_judged_and_never_the_test_split():
    small = random_bank(2, 1, 60)
    assert judging_config(small).split == "validation"
    assert judging_config(small).schedule == "markets"
    assert not judging_config(small).what_if  # no gate asks for these replays


@pytest.mark.parametrize(
    ("digest", "table", "differ"),
    [
        (DATASET, None, []),
        ("e" * 12, None, ["dataset", "claims' dataset"]),
        (DATASET, "f" * 12, ["feature table"]),
    ],
)
def test_a_dataset_or_feature_table_that_changed_is_told_apart(digest, table, differ):
    record, _ = made_record(made_policy())
    manifest = SimpleNamespace(
        feature_digest=table or record.spec.feature_digest, descends_from=lambda recorded: recorded == digest
    )
    dataset = SimpleNamespace(digest=digest, manifest=manifest)
    found = _match_datasets(record, dataset)
    assert [m.name for m in found if not m.equal] == differ
    without, _ = made_record(made_policy(), claims=None)
    assert "claims' dataset" not in [
        m.name for m in _match_datasets(without, SimpleNamespace(digest=digest, manifest=manifest))
    ]


def test_a_dataset_that_grew_from_the_recorded_one_fits_and_is_named_apart():
    record, _ = made_record(made_policy())
    manifest = SimpleNamespace(
        feature_digest=record.spec.feature_digest, descends_from=lambda recorded: recorded == DATASET
    )
    found = _match_datasets(record, SimpleNamespace(digest="e" * 12, manifest=manifest))
    assert [(m.name, m.equal, m.grown, m.fits) for m in found] == [
        ("dataset", False, True, True),
        ("feature table", True, False, True),
        ("claims' dataset", False, True, True),
    ]
    assert "grown" in found[0].model_dump()
    assert "grown" not in found[1].model_dump()  # judgements kept before keep their digests
