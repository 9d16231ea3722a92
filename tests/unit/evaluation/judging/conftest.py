"""One judgement that several tests look at."""

import pytest
from made.evaluation_bank import random_bank
from made.judging import ENV, QUICK, Foresight

from kalshi_platform.evaluation.judging.evaluate import evaluate
from kalshi_platform.evaluation.judging.evaluation import Evaluation, Subject


@pytest.fixture(scope="session")
def judged() -> Evaluation:
    """Foresight judged on twelve events without fees."""
    bank = random_bank(12, 2, 100, seed=3)
    env = ENV.replace(fee_scale_e6=0, latency_ms=0)
    return evaluate(Foresight, bank, env, QUICK, subject=Subject(checkpoint="c", dataset="d"))
