"""The main job in small: recordings to a report, continued when repeated, afresh on other recordings."""

import json

import pytest

from kalshi_platform.envs.config import EnvConfig, EpisodeConfig
from kalshi_platform.evaluation.report import read_report
from kalshi_platform.simexchange import SimConfig, simulate
from kalshi_platform.training.config import TrainConfig
from kalshi_platform.training.quickstart import QuickstartConfig, quickstart
from kalshi_platform.training.session import RunSettings

SMALL = QuickstartConfig(
    seeds=2,
    run=RunSettings(
        env=EnvConfig(decision_interval_ms=120_000),
        episodes=EpisodeConfig(min_steps=10, max_steps=40),
        train=TrainConfig(
            level="tiny", n_envs=8, fragment_length=16, minibatch=128, total_env_steps=256, epochs=1
        ),
    ),
)


@pytest.mark.ray
def test_a_repeated_quickstart_keeps_its_runs_and_other_recordings_get_new_ones(tmp_path, ray_runtime):
    recordings, out = tmp_path / "recordings", tmp_path / "out"
    simulate(SimConfig(n_events=9, messages_per_market=300), recordings)
    first = quickstart(SMALL, recordings, out, lambda line: None)
    assert [e.subject.checkpoint.rsplit("/", 1)[1] for e in first.siblings] == ["seed-0", "seed-1"]
    assert read_report(first.json) == first.evaluation
    assert first.html.read_text().count("seed-") >= 2  # one row a training seed
    assert {m.provenance for m in first.evaluation.policy.markets} == {"simulated"}

    lines: list[str] = []
    again = quickstart(SMALL, recordings, out, lines.append)
    assert again.evaluation.policy == first.evaluation.policy
    assert not [line for line in lines if "steps/s" in line]  # nothing was trained again
    openings = next(out.glob("work-*/dataset/test_split_openings.jsonl")).read_text().splitlines()
    assert len([json.loads(line) for line in openings]) == 2

    for path in recordings.iterdir():
        path.unlink()
    recordings.rmdir()
    simulate(SimConfig(n_events=9, messages_per_market=300, seed=1), recordings)
    other = quickstart(SMALL, recordings, out, lambda line: None)
    assert other.evaluation.subject.dataset_digest != first.evaluation.subject.dataset_digest
    assert len(list(out.glob("work-*/runs-*"))) == 2
