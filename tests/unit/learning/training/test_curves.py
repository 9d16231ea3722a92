"""Curves of a run: every point once, in its unit, and the same after a resume."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from kalshi_platform.learning.training.curves import FOLDER, Curves, points


def line(iteration, validated, **more):
    return {
        "iteration": iteration,
        "env_steps": 100 * iteration,
        "episode_return": -5.0,
        "entropy": None,
        "action_shares": [0.9, 0.1, 0.0, 0.0, 0.0],
        "validation": {"score": 0.01 * validated, "trade_rate": 0.5, "env_steps": 100 * validated},
        **more,
    }


LINES = [line(1, 1), line(2, 1), line(3, 3)]


def read(run):
    """Name -> (step, value) of every curve."""
    events = EventAccumulator(str(run / FOLDER)).Reload()
    return {name: [(e.step, e.value) for e in events.Scalars(name)] for name in events.Tags()["scalars"]}


@contextmanager
def no_file_beyond(n_bytes: int) -> Iterator[None]:
    """Let the system refuse every write past ``n_bytes`` of a file, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_number_that_is_not_known_has_no_point_and_a_share_is_percent():
    found = {name: (value, step) for name, value, step in points(LINES[0], 0)}
    assert "learning/entropy_nats" not in found
    assert found["actions/HOLD_percent_of_decisions"] == (90.0, 100)
    assert found["validation/return_percent_of_capital"] == (1.0, 100)
    assert points({"iteration": 1}, 0) == []


def test_a_validation_counts_once_though_later_lines_repeat_it(tmp_path):
    curves = Curves(tmp_path)
    for row in LINES:
        curves.add(row)
    curves.close()
    found = read(tmp_path)
    assert found["training/reward_per_episode_scaled"] == [(100, -5.0), (200, -5.0), (300, -5.0)]
    assert [step for step, _ in found["validation/return_percent_of_capital"]] == [100, 300]
    assert found["validation/return_percent_of_capital"][1][1] == pytest.approx(3.0)


def test_a_resumed_run_has_the_points_of_its_metrics_and_no_others(tmp_path):
    lost = Curves(tmp_path, LINES)  # killed after its third iteration, whose checkpoint was not written
    lost.close()
    curves = Curves(tmp_path, LINES[:2])
    curves.add(line(3, 3, episode_return=7.0))
    curves.close()
    assert read(tmp_path)["training/reward_per_episode_scaled"] == [(100, -5.0), (200, -5.0), (300, 7.0)]


def test_points_are_on_the_disk_when_a_line_was_added_though_the_file_is_still_open(tmp_path):
    curves = Curves(tmp_path)
    for n, row in enumerate(LINES, start=1):
        curves.add(row)
        assert len(read(tmp_path)["training/reward_per_episode_scaled"]) == n
    curves.close()


def test_a_full_disk_is_an_error_and_no_endless_wait(tmp_path):
    curves = Curves(tmp_path)
    with no_file_beyond(100), pytest.raises(OSError, match="File too large"):
        curves.add(LINES[0])
    curves.close()
    with no_file_beyond(500), pytest.raises(OSError, match="File too large"):
        Curves(tmp_path, [line(n, n) for n in range(1, 200)])  # more than any buffer holds
