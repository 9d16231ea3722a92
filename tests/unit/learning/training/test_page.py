"""The page of one run: its curves with units, its best validation, its settings; a bad file costs no run."""

import json
from types import SimpleNamespace

import pytest
from made.pages import sound_page
from made.registry_models import made_policy
from made.training import begun, scored

from kalshi_platform.learning.training.checkpoint import BEST, TrainingState, point, write_checkpoint
from kalshi_platform.learning.training.metrics import METRICS
from kalshi_platform.learning.training.page import RUN_PAGE, with_page, write_run_page
from kalshi_platform.learning.training.progress import Progress
from kalshi_platform.learning.training.session import RunSettings

DATASET = SimpleNamespace(uri="/data/<mine>", digest="d" * 12)


def line(iteration, validated, **more):
    return {
        "iteration": iteration,
        "env_steps": 4096 * iteration,
        "episode_return": 1.0 * iteration,
        "action_shares": [0.9, 0.1, 0.0, 0.0, 0.0],
        "steps_per_s": 15_000.0,
        "validation": {"score": 0.01 * validated, "trade_rate": 0.5, "env_steps": 4096 * validated},
        **more,
    }


@pytest.fixture
def run(tmp_path):
    """A run of three iterations, interrupted; its best policy earned 5 %."""
    out = begun(tmp_path / "mine", RunSettings(), DATASET)
    (out / METRICS).write_text(
        "".join(json.dumps(row) + "\n" for row in (line(1, 1), line(2, 1), line(3, 3)))
    )
    best = write_checkpoint(out, 3, made_policy(), TrainingState({}, {}, {}), scored(0.05))
    point(out, BEST, best)
    return out


def progress(validations):
    return Progress(3, 9, 12_288, 1.0, 1.0, None, None, None, validations=({},) * validations)


def test_the_page_says_how_far_the_run_is_and_what_its_best_policy_earns(run):
    html = write_run_page(run).read_text()
    tags = sound_page(html, run)
    assert tags.headings[:3] == ["Validation", "Training", "Settings"]
    assert "12,288 of 1,000,000 environment steps." in html
    assert "Best validation return: 5.0 % of capital; that policy trades at 50 % of its decisions." in html
    for axis in ("mean return a block, % of capital", "reward of an episode (scaled)", "% of decisions"):
        assert axis in html
    assert "1.5e+04" not in html
    assert "train.learning_rate" in html
    assert "&lt;mine&gt;" in html


def test_a_collapse_stands_in_the_first_lines(run):
    with (run / METRICS).open("a") as file:
        file.write(json.dumps(line(4, 4, collapse="the policy never trades")) + "\n")
    assert "Warning: the policy never trades." in write_run_page(run).read_text()


def test_the_runs_own_record_is_left_as_it_is(run):
    before = (run / "run.json").read_bytes()
    write_run_page(run)
    assert (run / "run.json").read_bytes() == before


def test_a_run_without_a_validation_has_a_page(run):
    (run / METRICS).write_text("")
    (run / BEST).unlink()
    assert "Nothing is validated yet." in write_run_page(run).read_text()


def test_the_page_is_written_again_after_each_validation_and_at_no_other_time(run):
    heard: list[Progress] = []
    show = with_page(heard.append, run)
    for validations, written in ((1, True), (1, False), (2, True)):
        (run / RUN_PAGE).unlink(missing_ok=True)
        show(progress(validations))
        assert (run / RUN_PAGE).exists() == written
    assert len(heard) == 3


def test_a_page_that_cannot_be_written_is_named_and_ends_no_run(run, caplog):
    (run / "run.json").write_text("{")
    with_page(lambda _: None, run)(progress(1))
    assert "the page of the run could not be written" in caplog.text
