"""A run's folder: taken once, continued only with the settings that began it."""

import json

import pytest
from made.registry_models import made_policy
from made.training import SMALL

from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.learning.training.checkpoint import TrainingState, write_checkpoint
from kalshi_platform.learning.training.folder import CONFIG, MAY_CHANGE, MAY_MUTATE, claim


@pytest.fixture
def begun(tmp_path):
    """A folder whose run wrote a line and a checkpoint."""
    claim(tmp_path, SMALL, resume=False)
    (tmp_path / "metrics.jsonl").write_text('{"iteration": 1}\n')
    write_checkpoint(tmp_path, 1, made_policy(), TrainingState({}, {}, {}))
    return tmp_path


def test_a_folder_that_holds_a_run_is_not_taken_again(begun):
    with pytest.raises(ContractError, match="already holds a run: continue it with --resume"):
        claim(begun, SMALL, resume=False)


def test_a_checkpoint_that_latest_does_not_name_yet_is_a_run_as_well(begun):
    (begun / "latest").unlink()  # killed between the checkpoint's name and the link
    with pytest.raises(ContractError, match="already holds a run"):
        claim(begun, SMALL, resume=False)
    claim(begun, SMALL, resume=True)


def test_a_run_that_ended_before_its_first_checkpoint_is_started_again_with_any_settings(tmp_path):
    claim(tmp_path, SMALL, resume=False)
    (tmp_path / "metrics.jsonl").write_text('{"iteration": 1}\n')
    (tmp_path / "checkpoints" / ".000001.77.partial").mkdir(parents=True)
    claim(tmp_path, SMALL.replace(seed=8), resume=False)
    assert json.loads((tmp_path / CONFIG).read_text())["seed"] == 8


def test_nothing_is_continued_where_nothing_began(tmp_path):
    with pytest.raises(ContractError, match="no checkpoint"):
        claim(tmp_path, SMALL, resume=True)
    assert list(tmp_path.iterdir()) == []


def test_papers_are_written_with_the_settings_and_not_where_the_run_is_refused(begun, tmp_path):
    with pytest.raises(ContractError):
        claim(begun, SMALL, resume=False, papers={"run.json": "other"})
    assert not (begun / "run.json").exists()
    claim(begun, SMALL, resume=True, papers={"run.json": "mine"})
    assert (begun / "run.json").read_text() == "mine"


def test_fewer_steps_than_were_made_are_refused_and_more_extend_the_run(begun):
    write_checkpoint(begun, 4, made_policy(), TrainingState({}, {}, {}))
    fewer = "has made 512 steps already, 300 are asked for: leave out --steps"
    with pytest.raises(ContractError, match=fewer):
        claim(begun, SMALL.replace(total_env_steps=300), resume=True)
    for steps in (512, 700):
        claim(begun, SMALL.replace(total_env_steps=steps), resume=True)


@pytest.mark.parametrize("text", ["", "{", "[]", "7"])
def test_a_damaged_record_is_named(begun, text):
    (begun / CONFIG).write_text(text)
    with pytest.raises(DataError, match=r"config\.json .*restore it, or start the run in another --out"):
        claim(begun, SMALL, resume=True)
    (begun / CONFIG).unlink()
    with pytest.raises(DataError, match=r"config\.json does not exist"):
        claim(begun, SMALL, resume=True)


def test_how_long_a_run_lasts_may_change_and_is_written_down(begun):
    longer = SMALL.replace(total_env_steps=1_024, patience=3, keep_checkpoints=5)
    claim(begun, longer, resume=True)
    assert json.loads((begun / CONFIG).read_text())["patience"] == 3


def test_what_a_run_computes_may_not_change_and_the_stored_settings_stay(begun):
    before = (begun / CONFIG).read_bytes()
    with pytest.raises(
        ContractError, match=r"other settings \(train\.level 'simple' -> 'tiny', train\.gamma 0\.98 -> 0\.9\)"
    ):
        claim(begun, SMALL.replace(gamma=0.9, level="tiny", patience=9), resume=True)
    assert (begun / CONFIG).read_bytes() == before


def test_a_population_may_mutate_what_a_plain_run_may_not(begun):
    changed = SMALL.replace(gamma=0.9)
    claim(begun, changed, resume=True, mutated=MAY_MUTATE)
    with pytest.raises(ContractError, match="level"):
        claim(begun, changed.replace(level="tiny"), resume=True, mutated=MAY_MUTATE)


def test_every_setting_that_may_differ_exists():
    assert type(SMALL).model_fields.keys() >= MAY_CHANGE | MAY_MUTATE


@pytest.mark.parametrize("name", ["latest", "checkpoints/000001"])
def test_a_run_is_not_written_into_a_checkpoint_of_another(begun, name):
    before = sorted(path.name for path in (begun / name).iterdir())
    with pytest.raises(ContractError, match=r"it is a checkpoint or a dataset.*name the folder of a run"):
        claim(begun / name, SMALL, resume=False)
    assert sorted(path.name for path in (begun / name).iterdir()) == before
