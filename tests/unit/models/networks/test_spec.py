"""What a policy reads and decides: its width, and observations and feature tables it refuses."""

import pytest
from made.networks import spec_of

from kalshi_platform.domain.actions import N_ACTIONS
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.models.networks.spec import PolicySpec


def test_the_width_is_worked_by_hand():
    # 4 slots of 3 market and 2 portfolio features, one mask and 5 actions: 4 x (3 + 2 + 1 + 5) = 44
    spec = spec_of("tiny")
    assert N_ACTIONS == 5
    assert spec.width == 44
    assert spec.layout.portfolio_at == 12
    assert spec.replace(market=("a",)).width == 36


def test_a_level_with_a_window_reads_history_and_one_without_does_not():
    assert spec_of("simple").reads_history
    assert not spec_of("tiny").reads_history


@pytest.mark.parametrize("shape", [(44,), (1, 43), (2, 45), (1, 1, 44)])
def test_observations_of_another_shape_are_refused_with_both(shape):
    with pytest.raises(ContractError) as refused:
        spec_of("tiny").require_shape(shape)
    assert f"observations have shape {shape}, the policy reads (N, 44)" in str(refused.value)


def test_any_number_of_observations_of_the_right_width_passes():
    for n in (0, 1, 1_000):
        spec_of("tiny").require_shape((n, 44))


@pytest.mark.parametrize(
    ("digest", "groups"),
    [("0" * 12, ("orderbook",)), ("f" * 12, ("orderbook", "temporal")), ("f" * 12, ())],
    ids=["table", "more groups", "no groups"],
)
def test_data_with_another_table_or_other_groups_is_refused(digest, groups):
    spec = spec_of("tiny")
    spec.require_features("f" * 12, ("orderbook",))
    with pytest.raises(ContractError) as refused:
        spec.require_features(digest, groups)
    for named in ("f" * 12, digest, str(list(groups))):
        assert named in str(refused.value)


@pytest.mark.parametrize("changes", [{"n_slots": 0}, {"market": ()}, {"portfolio": ()}, {"n_history": -1}])
def test_a_policy_that_sees_nothing_is_refused_by_field(changes):
    (field,) = changes
    with pytest.raises(ContractError, match=f"PolicySpec.{field}"):
        PolicySpec.parse({**spec_of("tiny").model_dump(), **changes})
