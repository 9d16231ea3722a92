"""One judgement that several tests look at."""

import pytest
from made.evaluation_bank import random_bank
from made.judging import ENV, QUICK, Foresight

from kalshi_platform.evaluation.judging.evaluate import evaluate
from kalshi_platform.evaluation.judging.evaluation import Evaluation, Subject
from kalshi_platform.evaluation.judging.ledger_tables import LedgerTables
from kalshi_platform.models.rules.baselines import RandomTrader


@pytest.fixture(scope="session")
def judged() -> Evaluation:
    """Foresight judged on twelve events without fees."""
    bank = random_bank(12, 2, 100, seed=3)
    env = ENV.replace(fee_scale_e6=0, latency_ms=0)
    return evaluate(Foresight, bank, env, QUICK, subject=Subject(checkpoint="c", dataset="d"))


@pytest.fixture(scope="session")
def judged_with_ledger() -> tuple[Evaluation, LedgerTables]:
    """A random trader in windows of ten markets under two seeds, without replays or baselines."""
    kept: list[LedgerTables] = []
    few = QUICK.replace(fee_ladder=False, fee_times=False, what_if=False, baselines=())
    config = few.replace(schedule="windows", window_steps=40, episodes_per_market=3)
    found = evaluate(
        lambda env: RandomTrader(env.layout, 0.3, seed=5),
        random_bank(5, 2, 90),
        ENV,
        config,
        keep_ledger=kept.append,
    )
    return found, kept[0]
