"""The records of the checkup: thresholds that are fractions, settings of older files."""

import pytest

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.evaluation.judging.checkup_facts import CheckupConfig


def test_settings_of_an_earlier_version_get_the_new_thresholds():
    old = {"collapse_share": 0.9, "hit_rate": 0.8}
    assert CheckupConfig.parse(old).one_side == CheckupConfig().one_side


@pytest.mark.parametrize("wrong", [{"one_side": 0.5}, {"bad_book_share": 0}, {"min_validations": 1}])
def test_a_threshold_that_would_always_fire_is_refused(wrong):
    with pytest.raises(ContractError, match=next(iter(wrong))):
        CheckupConfig.parse(wrong)
