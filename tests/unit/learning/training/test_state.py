"""The environments' state as named arrays, and back; whole runs are compared in tests/integration."""

from types import SimpleNamespace

import numpy as np
import pytest
from made.registry_models import made_policy
from made.training import made_source

from kalshi_platform.domain.errors import DataError
from kalshi_platform.learning.training import state
from kalshi_platform.learning.training.checkpoint import TrainingState


@pytest.fixture
def env():
    """Environments that stand in the middle of their episodes."""
    made, _ = made_source().vector_env(4, seed=1)
    flat, rows = made.buffers()
    made.reset(flat, rows)
    out = np.zeros(4, np.float32), np.zeros(4, bool), np.zeros(4, bool)
    for _ in range(7):
        made.step(np.zeros((4, 3), np.int8), flat, rows, *out)
    return made


def test_the_environments_state_comes_back_from_its_named_arrays(env):
    whole = env.get_state()
    arrays = state._split(whole)
    assert all(isinstance(array, np.ndarray) for array in arrays.values())
    again = state._joined(arrays)
    np.testing.assert_array_equal(again["envs"], whole["envs"])
    np.testing.assert_array_equal(again["slots"], whole["slots"])
    for one, other in zip(again["table"], whole["table"], strict=True):
        np.testing.assert_array_equal(one, other)


def test_bytes_between_the_fields_of_records_do_not_reach_a_checkpoint():
    aligned = np.dtype([("a", "u1"), ("b", "<i8")], align=True)
    records = np.frombuffer(bytes(range(1, 33)), aligned)  # 7 bytes of padding after each a
    packed = state._packed(records)
    assert packed.tolist() == records.tolist()
    assert packed.tobytes() == bytes([1, *range(9, 17), 17, *range(25, 33)])


def test_every_sampler_hears_of_the_episodes_the_run_has_finished():
    told = []
    reader = SimpleNamespace(advance=told.append)
    worker = SimpleNamespace(input_reader=SimpleNamespace(reader=reader))
    group = SimpleNamespace(num_remote_workers=lambda: 0, local_env_runner=worker)
    state.advance_curriculum(SimpleNamespace(env_runner_group=group), 17)
    assert told == [17]


def algorithm_of(network):
    policy = SimpleNamespace(model=SimpleNamespace(network=network))
    return SimpleNamespace(get_policy=lambda: policy)


def test_a_checkpoint_of_another_network_is_refused_before_anything_is_put_back():
    network = made_policy("tiny").network
    before = {name: weights.clone() for name, weights in network.state_dict().items()}
    with pytest.raises(DataError, match="other sizes or features"):
        state.restore(algorithm_of(network), made_policy("simple"), TrainingState({}, {}, {}))
    assert all(weights.equal(before[name]) for name, weights in network.state_dict().items())


def test_a_frozen_copy_has_weights_of_its_own():
    network = made_policy("tiny").network
    copy = state.frozen_copy(algorithm_of(network))
    first, mine = next(copy.network.parameters()), next(network.parameters())
    assert first.equal(mine)
    mine.data.add_(1.0)
    assert not first.equal(mine)
