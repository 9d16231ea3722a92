"""The learning curve read back."""

import pytest

from kalshi_platform.domain.errors import DataError
from kalshi_platform.learning.training.metrics import METRICS, keep_metrics, read_metrics


def test_every_line_is_a_row_in_order(tmp_path):
    (tmp_path / METRICS).write_text('{"iteration": 1}\n{"iteration": 2}\n')
    assert read_metrics(tmp_path) == [{"iteration": 1}, {"iteration": 2}]


def test_a_line_that_was_cut_off_is_named_by_its_number(tmp_path):
    (tmp_path / METRICS).write_text('{"iteration": 1}\n{"iterat')
    with pytest.raises(DataError, match=r"metrics\.jsonl line 2 "):
        read_metrics(tmp_path)


@pytest.mark.parametrize("line", [b'{"iteration": 2, "kl": "\xf7"}', b"[2]"])
def test_bytes_that_are_no_text_and_lines_that_are_no_object_are_refused_or_lost_by_number(
    tmp_path, caplog, line
):
    (tmp_path / METRICS).write_bytes(b'{"iteration": 1}\n' + line + b"\n")
    with pytest.raises(DataError, match=r"metrics\.jsonl line 2 "):
        read_metrics(tmp_path)
    keep_metrics(tmp_path, 2)
    assert "lacks 1 of 2 iterations (2)" in caplog.text
    assert read_metrics(tmp_path) == [{"iteration": 1}]


def test_a_resumed_run_keeps_the_lines_up_to_its_checkpoint(tmp_path, caplog):
    (tmp_path / METRICS).write_text(
        '{"iteration": 1, "kl": NaN}\n{"iteration": 2}\n{"iteration": 3}\n{"itera'
    )
    keep_metrics(tmp_path, 2)
    assert (tmp_path / METRICS).read_text() == '{"iteration": 1, "kl": null}\n{"iteration": 2}\n'
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ('{"iteration": 1}\n{"iterat\n{"iteration": 3}\n', "lacks 1 of 3 iterations (2)"),
        ('{"iteration": 1}\n7\n{}\n', "lacks 2 of 3 iterations (2, 3)"),
        (None, "lacks 3 of 3 iterations (1, 2, 3)"),
    ],
)
def test_lines_that_are_lost_are_named_and_the_run_goes_on(tmp_path, caplog, text, lost):
    if text is not None:
        (tmp_path / METRICS).write_text(text)
    keep_metrics(tmp_path, 3)
    assert lost in caplog.text
    assert all(1 <= row["iteration"] <= 3 for row in read_metrics(tmp_path))
