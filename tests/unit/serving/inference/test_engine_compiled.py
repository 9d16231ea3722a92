"""The compiled form: which networks it knows, and that a group is answered alike alone and among others."""

import numpy as np
import pytest
from made.engine_forms import ALL_LEVELS, policy_of

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.serving.inference.engine_compiled import CompiledEngine, compiles
from kalshi_platform.serving.inference.engine_torch import TorchEngine
from kalshi_platform.serving.inference.export import checked_observations, deviation, forms_of, group_logits

KNOWN = ["tiny", "simple", "moderate", "tier_1", "tier_2"]


def test_the_levels_that_the_kernels_know_and_those_that_they_do_not():
    assert [name for name in ALL_LEVELS if compiles(policy_of(name).spec)] == KNOWN
    assert "compiled" in forms_of(policy_of("tiny").spec)
    assert "compiled" not in forms_of(policy_of("advanced").spec)
    with pytest.raises(ContractError, match="level advanced has parts that no kernel knows"):
        CompiledEngine(policy_of("advanced").network)


@pytest.mark.parametrize("level", KNOWN)
def test_it_answers_as_torch_does(level):
    network = policy_of(level).network
    flat, windows = checked_observations(network.spec, 64)
    truth = group_logits(TorchEngine(network), flat, windows)
    found = deviation(network.spec, flat, truth, group_logits(CompiledEngine(network), flat, windows))
    assert found.within("compiled"), found


@pytest.mark.parametrize("level", KNOWN)
@pytest.mark.parametrize("together", [2, 5, 20])
def test_a_group_is_answered_alike_to_the_bit_alone_and_among_others(level, together):
    engine = CompiledEngine(policy_of(level).network)
    flat, windows = checked_observations(engine.spec, 20)
    alone = np.concatenate([group_logits(engine, flat[k : k + 1], windows[k : k + 1]) for k in range(20)])
    for first in range(0, 20, together):
        at = slice(first, first + together)
        assert np.array_equal(group_logits(engine, flat[at], windows[at]), alone[at])


def test_observations_that_may_only_be_read_are_answered():
    engine = CompiledEngine(policy_of("simple").network)
    flat, windows = checked_observations(engine.spec, 2)
    wanted = group_logits(engine, flat, windows)
    flat.flags.writeable = windows.flags.writeable = False  # as another process sends them
    assert np.array_equal(group_logits(engine, flat, windows), wanted)
