"""A run's folder: taken once, continued only with the settings that began it."""

import json

import pytest
from made.training import SMALL

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.learning.training.folder import CONFIG, MAY_CHANGE, MAY_MUTATE, claim


@pytest.fixture
def begun(tmp_path):
    """A folder whose run wrote a line and a checkpoint."""
    claim(tmp_path, SMALL, resume=False)
    (tmp_path / "metrics.jsonl").write_text("{}\n")
    (tmp_path / "latest").mkdir()
    return tmp_path


def test_a_folder_that_holds_a_run_is_not_taken_again(begun):
    with pytest.raises(ContractError, match="already holds a run"):
        claim(begun, SMALL, resume=False)


def test_nothing_is_continued_where_nothing_began(tmp_path):
    with pytest.raises(ContractError, match="no checkpoint"):
        claim(tmp_path, SMALL, resume=True)


def test_how_long_a_run_lasts_may_change_and_is_written_down(begun):
    longer = SMALL.replace(total_env_steps=1_024, patience=3, keep_checkpoints=5)
    claim(begun, longer, resume=True)
    assert json.loads((begun / CONFIG).read_text())["patience"] == 3


def test_what_a_run_computes_may_not_change_and_the_stored_settings_stay(begun):
    before = (begun / CONFIG).read_bytes()
    with pytest.raises(ContractError, match=r"level 'simple' -> 'tiny', gamma 0\.98 -> 0\.9"):
        claim(begun, SMALL.replace(gamma=0.9, level="tiny", patience=9), resume=True)
    assert (begun / CONFIG).read_bytes() == before


def test_a_population_may_mutate_what_a_plain_run_may_not(begun):
    changed = SMALL.replace(gamma=0.9)
    claim(begun, changed, resume=True, mutated=MAY_MUTATE)
    with pytest.raises(ContractError, match="level"):
        claim(begun, changed.replace(level="tiny"), resume=True, mutated=MAY_MUTATE)


def test_every_setting_that_may_differ_exists():
    assert type(SMALL).model_fields.keys() >= MAY_CHANGE | MAY_MUTATE
