"""Settings of a training run that cannot be met are refused."""

from typing import Any

import pytest
from made.training import SMALL

from kalshi_platform.domain.errors import (
    ContractError,
)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"overlap": True}, "overlap needs processes that sample"),
        ({"worker_events": "own"}, "worker_events=own needs processes that sample"),
        ({"sampler": "stock"}, "Input should be 'columnar'"),
    ],
)
def test_settings_that_cannot_be_met_say_so(changes: dict[str, Any], message: str):
    with pytest.raises(ContractError, match=message):
        SMALL.replace(**changes)


def test_minibatches_must_fill_the_batch():
    with pytest.raises(ContractError, match="minibatch=100 does not divide the 128 samples"):
        SMALL.replace(minibatch=100)


def test_an_iteration_is_environments_times_steps_times_processes():
    assert SMALL.batch_size == 8 * 16
    assert SMALL.replace(num_env_runners=3).batch_size == 3 * 128
    # 513 steps need a fifth iteration of 128.
    assert [SMALL.replace(total_env_steps=n).iterations for n in (1, 512, 513)] == [1, 4, 5]
