"""The learning curve read back."""

import pytest

from kalshi_platform.domain.errors import DataError
from kalshi_platform.learning.training.metrics import METRICS, read_metrics


def test_every_line_is_a_row_in_order(tmp_path):
    (tmp_path / METRICS).write_text('{"iteration": 1}\n{"iteration": 2}\n')
    assert read_metrics(tmp_path) == [{"iteration": 1}, {"iteration": 2}]


def test_a_line_that_was_cut_off_is_named_by_its_number(tmp_path):
    (tmp_path / METRICS).write_text('{"iteration": 1}\n{"iterat')
    with pytest.raises(DataError, match=r"metrics\.jsonl line 2 "):
        read_metrics(tmp_path)
