"""docs/tour.ipynb: every cell runs on what `make run` leaves behind; the outputs shown are those of a run."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.data.features.spec import FEATURE_DIGEST
from kalshi_platform.learning.training.source import TrainingSource
from kalshi_platform.models.networks.networks import PolicyNetwork
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.envs.settings import ENVIRONMENT_FILE, environment_text
from kalshi_platform.simulation.replay.open import open_bank
from kalshi_platform.simulation.simexchange import SimConfig, simulate

TOUR = Path(__file__).resolve().parents[2] / "docs" / "tour.ipynb"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with runs/quickstart as `make run` names its parts, with a policy that was never trained."""
    place = tmp_path / "runs" / "quickstart"
    simulate(SimConfig(n_events=24, messages_per_market=300, seed=3), tmp_path / "recordings")
    build_dataset([tmp_path / "recordings"], str(place / "dataset"), BuildConfig(workers=0))
    env = EnvConfig(decision_interval_ms=30_000)
    source = TrainingSource(
        lambda: open_bank(str(place / "dataset"), "validation", env.groups), FEATURE_DIGEST, env
    )
    torch.manual_seed(1)
    (place / "run" / "best").mkdir(parents=True)
    FrozenPolicy(PolicyNetwork(source.policy_spec("tiny"))).save(place / "run" / "best")
    source.close()
    (place / "run" / ENVIRONMENT_FILE).write_text(environment_text(env))
    return tmp_path


def test_every_cell_of_the_tour_runs(home: Path) -> None:
    (home / "docs").mkdir()
    shutil.copy(TOUR, home / "docs")
    words = [
        sys.executable,
        "-m",
        "pytest",
        "--nbmake",
        "-q",
        "-c",
        os.devnull,
        "-p",
        "no:cacheprovider",
        TOUR.name,
    ]
    done = subprocess.run(words, cwd=home / "docs", capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_the_outputs_shown_are_of_a_whole_run_and_name_no_place_of_a_machine() -> None:
    cells = [cell for cell in json.loads(TOUR.read_text())["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert [cell["id"] for cell in cells if not cell["outputs"]] == []
    assert not [out for cell in cells for out in cell["outputs"] if out["output_type"] == "error"]
    assert not re.search(r"/(tmp|home|root|work|Users)/", TOUR.read_text())
