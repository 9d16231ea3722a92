"""The record of a sweep: read back as it was written, refused where it is damaged or absent."""

import pytest
from made.runs import make_sweep, trial

from kalshi_platform.domain.errors import DataError, PlatformError
from kalshi_platform.learning.tuning.sweep_record import SWEEP_FILE, read_sweep


def test_a_sweep_comes_back_as_it_was_written(tmp_path):
    record = make_sweep(tmp_path, [trial("t0", status="failed", reason="out of memory"), trial("t1")], "t1")
    assert read_sweep(tmp_path) == record


@pytest.mark.parametrize(
    ("text", "named"), [("{", SWEEP_FILE), ("[]", "SweepRecord"), ('{"name": "made"}', "question")]
)
def test_a_record_that_is_not_whole_is_refused_by_name(tmp_path, text, named):
    (tmp_path / SWEEP_FILE).write_text(text)
    with pytest.raises(PlatformError, match=named):
        read_sweep(tmp_path)


def test_a_folder_without_a_record_is_named(tmp_path):
    with pytest.raises(DataError, match=f"{tmp_path} is not the folder of a sweep"):
        read_sweep(tmp_path)
