"""Engines that run a tier's own weights in torch."""

import numpy as np
import pytest
import torch
from made.engine_forms import engine, policy_of

from kalshi_platform.serving.inference.export import (
    FORMS,
    checked_observations,
    group_logits,
)


@pytest.mark.parametrize("form", FORMS)
def test_arrays_that_came_from_another_process_are_read_without_a_warning(form):
    found = engine("simple", form)
    flat, windows = checked_observations(found.spec, 4)
    wanted = group_logits(found, flat, windows)
    flat.setflags(write=False)
    windows.setflags(write=False)
    np.testing.assert_array_equal(group_logits(found, flat, windows), wanted)


def test_torch_keeps_its_threads_for_others():
    torch.set_num_threads(2)
    try:
        group_logits(engine("simple", "torch"), *checked_observations(policy_of("simple").spec, 4))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
