"""The time left, with validations."""

import pytest
from made.training import SMALL

from kalshi_platform.learning.training.pace import is_validated, seconds_left, validations_until

CONFIG = SMALL.replace(total_env_steps=10 * 128, validate_every=4)  # 10 iterations


def test_the_first_the_last_and_every_fourth_iteration_are_validated():
    assert [k for k in range(1, 11) if is_validated(CONFIG, k)] == [1, 4, 8, 10]


@pytest.mark.parametrize("every", [1, 2, 3, 4, 5, 10, 11])
def test_validations_are_counted_as_they_are_made(every):
    config = CONFIG.replace(validate_every=every)
    for last in range(1, 11):
        made = sum(is_validated(config, k) for k in range(1, last + 1))
        assert validations_until(config, last) == made, (every, last)


def test_the_time_left_is_worked_by_hand():
    # After 5 of 10: 5 iterations are left of 20 s / 5 = 4 s, and 2 of 4 validations of 12 s / 2 = 6 s.
    assert seconds_left(CONFIG, 5, 2, iterations_s=20.0, validations_s=12.0) == pytest.approx(5 * 4 + 2 * 6)
    assert seconds_left(CONFIG, 10, 4, 40.0, 24.0) == 0.0
    assert seconds_left(CONFIG, 5, 0, 20.0, 0.0) == pytest.approx(20.0)  # a run that validates nothing
