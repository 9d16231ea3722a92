"""The environment beside a policy: found from the run and its checkpoints, refused where absent or broken."""

import json

import pytest

from kalshi_platform.domain.errors import DataError
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.envs.settings import (
    ENVIRONMENT_FILE,
    RUN_FILE,
    environment_text,
    read_environment,
)

ENV = EnvConfig(n_slots=3, order_style="maker", reward_scale=7.0)


@pytest.mark.parametrize("below", [".", "best", "checkpoints/000010"])
def test_the_settings_are_found_from_the_run_and_its_checkpoints(tmp_path, below):
    (tmp_path / ENVIRONMENT_FILE).write_text(environment_text(ENV))
    (tmp_path / below).mkdir(parents=True, exist_ok=True)
    assert read_environment(tmp_path / below) == ENV


def test_the_nearest_settings_win(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / ENVIRONMENT_FILE).write_text(environment_text(ENV))
    (tmp_path / "run" / ENVIRONMENT_FILE).write_text(environment_text(ENV.replace(n_slots=5)))
    assert read_environment(tmp_path / "run").n_slots == 5


def test_settings_three_folders_up_belong_to_somebody_else(tmp_path):
    (tmp_path / ENVIRONMENT_FILE).write_text(environment_text(ENV))
    deep = tmp_path / "a" / "b" / "c"
    deep.mkdir(parents=True)
    with pytest.raises(DataError, match=rf"{deep} has no {ENVIRONMENT_FILE}"):
        read_environment(deep)


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / ENVIRONMENT_FILE).write_text("{")
    with pytest.raises(DataError, match=str(tmp_path / ENVIRONMENT_FILE)):
        read_environment(tmp_path)
    (tmp_path / ENVIRONMENT_FILE).write_text('{"n_slots": 0}')
    with pytest.raises(DataError, match=r"env\.json: .*\s+EnvConfig\.n_slots = 0.*; restore it"):
        read_environment(tmp_path)
    for content in (b"[1]", b"\xf7{}"):
        (tmp_path / ENVIRONMENT_FILE).write_bytes(content)
        with pytest.raises(DataError, match=r"env\.json .*restore it"):
            read_environment(tmp_path)


@pytest.mark.parametrize("damaged", [ENVIRONMENT_FILE, RUN_FILE])
def test_settings_that_the_runs_record_contradicts_are_refused_with_both_values(tmp_path, damaged):
    (tmp_path / ENVIRONMENT_FILE).write_text(environment_text(ENV))
    record = {"settings": {"env": ENV.model_dump(mode="json")}}
    (tmp_path / RUN_FILE).write_text(json.dumps(record))
    (tmp_path / "best").mkdir()
    assert read_environment(tmp_path / "best") == ENV
    path = tmp_path / damaged
    path.write_text(path.read_text().replace("7.0", "3.0"))  # one bit of the 7
    with pytest.raises(
        DataError, match=r"env\.json and .*run\.json tell .*\(reward_scale [73]\.0 and [73]\.0\)"
    ):
        read_environment(tmp_path / "best")
