"""The learning curve read back."""

import pytest

from kalshi_platform.domain.errors import DataError
from kalshi_platform.learning.training.metrics import METRICS, keep_metrics, read_metrics, require_whole


def test_every_line_is_a_row_in_order(tmp_path):
    (tmp_path / METRICS).write_text('{"iteration": 1}\n{"iteration": 2}\n')
    assert read_metrics(tmp_path) == [{"iteration": 1}, {"iteration": 2}]


def test_a_line_that_was_cut_off_is_named_by_its_number(tmp_path):
    (tmp_path / METRICS).write_text('{"iteration": 1}\n{"iterat')
    with pytest.raises(DataError, match=r"metrics\.jsonl line 2 "):
        read_metrics(tmp_path)


@pytest.mark.parametrize("line", [b'{"iteration": 2, "kl": "\xf7"}', b"[2]"])
def test_bytes_that_are_no_text_and_lines_that_are_no_object_are_refused_by_number(tmp_path, line):
    (tmp_path / METRICS).write_bytes(b'{"iteration": 1}\n' + line + b"\n")
    with pytest.raises(DataError, match=r"metrics\.jsonl line 2 "):
        read_metrics(tmp_path)
    with pytest.raises(DataError, match=r"metrics\.jsonl is damaged: line 2 "):
        keep_metrics(tmp_path, 2)


def test_a_resumed_run_keeps_the_lines_up_to_its_checkpoint(tmp_path, caplog):
    (tmp_path / METRICS).write_text(
        '{"iteration": 1, "kl": NaN}\n{"iteration": 2}\n{"iteration": 3}\n{"itera'
    )
    keep_metrics(tmp_path, 2)
    assert (tmp_path / METRICS).read_text() == '{"iteration": 1, "kl": null}\n{"iteration": 2}\n'
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"iteration": 1}\n{"iterat\n{"iteration": 3}\n', "line 2 is no line of a run"),
        ('{"iteration": 1}\n7\n{}\n', "line 2 is no line of a run"),
        (
            '{"iteration": 1}\n{"iteration": 4}\n',
            r"line 2 is of iteration 4 after 1: 2 iterations .*\(2, 3\)",
        ),
        ('{"iteration": 2}\n{"iteration": 1}\n', "line 2 is of iteration 1 after 2, out of order"),
        ('{"iteration": true}\n', "line 1 is no line of a run"),
        ("[" * 5_000 + "\n", "line 1 is no line of a run"),
    ],
)
def test_a_hole_is_refused_by_line_and_iterations_and_the_file_stays(tmp_path, text, said):
    (tmp_path / METRICS).write_text(text)
    for refuse in (keep_metrics, require_whole):
        with pytest.raises(DataError, match=said) as refused:
            refuse(tmp_path, 5)
        assert "delete it" in str(refused.value)
    assert (tmp_path / METRICS).read_text() == text


@pytest.mark.parametrize(
    ("text", "kept", "lost"),
    [
        ('{"iteration": 1}\n{"iterat', [1], "ends with iteration 1: 2 of 3 iterations (2, 3)"),
        ('{"iteration": 1}\n{"iteration": 2}\n', [1, 2], "ends with iteration 2: 1 of 3 iterations (3)"),
        ('{"iteration": 2}\n{"iteration": 3}\n', [2, 3], "begins with iteration 2: 1 of 3 iterations (1)"),
        (None, [], "holds no iteration: 3 of 3 iterations (1, 2, 3)"),
    ],
)
def test_a_torn_end_and_a_file_that_was_deleted_are_told_and_the_run_goes_on(
    tmp_path, caplog, text, kept, lost
):
    if text is not None:
        (tmp_path / METRICS).write_text(text)
    require_whole(tmp_path, 3)
    keep_metrics(tmp_path, 3)
    assert lost in caplog.text
    assert [row["iteration"] for row in read_metrics(tmp_path)] == kept
