"""The main job in small: recordings to a report, continued when repeated, afresh on other recordings."""

import json

import pytest

from kalshi_platform.evaluation.judging.report import read_report
from kalshi_platform.learning.training.config import TrainConfig
from kalshi_platform.learning.training.session import RunSettings
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.models.registry.tiers import tier_sets
from kalshi_platform.serving.distillation.config import TiersConfig
from kalshi_platform.serving.inference.ready import ready_tiers
from kalshi_platform.simulation.envs.config import EnvConfig, EpisodeConfig
from kalshi_platform.simulation.simexchange import SimConfig, simulate
from kalshi_platform.workflows import quickstart as module
from kalshi_platform.workflows.publish import Published
from kalshi_platform.workflows.quickstart import QuickstartConfig, quickstart

COMMIT = "c" * 12
SMALL = QuickstartConfig(
    seeds=2,
    tiers=TiersConfig.smoke(),
    run=RunSettings(
        env=EnvConfig(decision_interval_ms=120_000),
        episodes=EpisodeConfig(min_steps=10, max_steps=40),
        train=TrainConfig(
            level="tiny", n_envs=8, fragment_length=16, minibatch=128, total_env_steps=256, epochs=1
        ),
    ),
)


def apart_from_speed(published: Published) -> Published:
    """What was published, without the refusal for slowness: every judgement measures it anew."""
    refusals = tuple(words for words in published.refusals if not words.startswith("too slow"))
    return published._replace(refusals=refusals)


@pytest.mark.ray
def test_a_repeated_quickstart_keeps_its_runs_and_other_recordings_get_new_ones(
    tmp_path, ray_runtime, monkeypatch
):
    monkeypatch.setattr(module, "git_commit", lambda: COMMIT)  # the checkout's own may have changed files
    recordings, out = tmp_path / "recordings", tmp_path / "out"
    simulate(SimConfig(n_events=24, messages_per_market=300), recordings)
    first = quickstart(SMALL, [recordings], out, lambda line: None)
    assert [e.subject.checkpoint.rsplit("/", 1)[1] for e in first.siblings] == ["seed-0", "seed-1"]
    assert read_report(first.json) == first.evaluation
    assert first.html.read_text().count("seed-") >= 2  # one row a training seed
    assert {m.provenance for m in first.evaluation.policy.markets} == {"simulated"}

    registry = Registry(out / "registry")
    assert registry.aliases().model("challenger") == first.published.record.id
    assert [t.number for t in ready_tiers(registry, "challenger").tiers] == [1, 2, 3]
    assert (out / "tiers.html").exists()
    assert first.published.champion == (registry.aliases().model("champion") is not None)
    assert first.published.champion or first.published.refusals

    # The same code shows the report that is there; other code judges anew, and that opens the test events.
    for commit, n_openings in ((COMMIT, 1), ("d" * 12, 2)):
        monkeypatch.setattr(module, "git_commit", lambda commit=commit: commit)
        lines: list[str] = []
        again = quickstart(SMALL, [recordings], out, lines.append)
        assert again.evaluation.policy == first.evaluation.policy
        assert not [line for line in lines if "steps/s" in line]  # nothing was trained again
        assert any("the test events stay shut" in line for line in lines) == (n_openings == 1)
        assert apart_from_speed(again.published) == apart_from_speed(first.published)
        assert len(tier_sets(registry, first.published.record.id)) == 1
        openings = next(out.glob("work-*/dataset/test_split_openings.jsonl")).read_text().splitlines()
        assert len([json.loads(line) for line in openings]) == n_openings

    for path in recordings.iterdir():
        path.unlink()
    recordings.rmdir()
    simulate(SimConfig(n_events=9, messages_per_market=300, seed=1), recordings)
    lines.clear()
    other = quickstart(SMALL, [recordings], out, lines.append)
    assert other.published.tier_set is None  # one validation event cannot be halved
    assert any(line.startswith("no tiers, every decision will ask") for line in lines)
    assert other.evaluation.subject.dataset_digest != first.evaluation.subject.dataset_digest
    assert len(list(out.glob("work-*/runs-*"))) == 2
