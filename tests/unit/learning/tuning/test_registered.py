"""The record of what a sweep registered."""

import pytest
from made.runs import make_sweep, trial

from kalshi_platform.domain.errors import DataError
from kalshi_platform.learning.tuning.registered import (
    REGISTERED_FILE,
    Registered,
    read_registered,
    seed_of,
)

REGISTERED = Registered(
    model="tiny-0123456789ab", registry="/registry", run="finalists/t0-s5", seed=5, is_challenger=True,
    challenger="tiny-0123456789ab", idle=False, flaws=(), words="challenger: tiny-0123456789ab",
)  # fmt: skip


def test_what_was_registered_is_read_back_and_nothing_where_there_is_none(tmp_path):
    assert read_registered(tmp_path) is None
    (tmp_path / REGISTERED_FILE).write_text(REGISTERED.model_dump_json())
    assert read_registered(tmp_path) == REGISTERED


def test_a_damaged_record_is_refused_by_name(tmp_path):
    (tmp_path / REGISTERED_FILE).write_text("{")
    with pytest.raises(DataError, match=r"registered\.json is not JSON"):
        read_registered(tmp_path)


def test_the_seed_is_that_of_the_run_that_won(tmp_path):
    final = trial("t0-s5", None, "finalist", seed=5)
    record = make_sweep(tmp_path, [trial("t0"), final], "t0")
    assert seed_of(record.replace(winner_run="finalists/t0-s5")) == 5
