"""Tiers of a registered model on a small simulated dataset: built, stored, judged again, shown."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from made.registry_models import made_policy, made_record
from typer.testing import CliRunner

from kalshi_platform.cli.main import app
from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.data.dataset.split import SplitConfig
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.domain.errors import ContractError, DataError, LimitError
from kalshi_platform.evaluation.judging.held_out import OPENINGS_FILE
from kalshi_platform.evaluation.statistics.bootstrap import BootstrapConfig
from kalshi_platform.models.registry.record import WEIGHTS_NAME, model_id
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.models.registry.tiers import newest_tier_set, tier_artefact
from kalshi_platform.serving.distillation.build import build_tiers, fastest, report_tiers
from kalshi_platform.serving.distillation.cascade import Theatre, cascade_of
from kalshi_platform.serving.distillation.config import TiersConfig
from kalshi_platform.serving.distillation.halves import halves
from kalshi_platform.serving.distillation.judge import exit_curve, value_kept
from kalshi_platform.serving.distillation.page import HTML_NAME, JSON_NAME, read_page
from kalshi_platform.serving.distillation.report import stored_report
from kalshi_platform.serving.inference.engine_torch import TorchEngine
from kalshi_platform.serving.inference.tiered import ReadyTier
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.replay.open import CACHE_VARIABLE, open_bank
from kalshi_platform.simulation.simexchange import SimConfig, simulate

SPLIT = SplitConfig(train=10, validation=8, test=4)
ENV = EnvConfig(n_slots=2, decision_interval_ms=60_000)


def registered(registry: Registry, dataset_digest: str) -> str:
    """A champion that decides something, though nobody trained it."""
    policy = made_policy("tiny", seed=4)
    with torch.no_grad():
        policy.network.action_head[-1].weight.mul_(300)
    record, files = made_record(
        policy, dataset_digest=dataset_digest, environment=ENV.model_dump(mode="json")
    )
    named = model_id(
        record.artefacts[WEIGHTS_NAME], record.spec, record.environment, record.digests, dataset_digest,
        record.commit,
    )  # fmt: skip
    registry.add(record.replace(id=named), files)
    registry.promote("champion", named, reason="made")
    return named


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A dataset, a registry with a champion, and its tiers."""
    folder = tmp_path_factory.mktemp("tiers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(folder / "cache"))
        simulate(SimConfig(n_events=20, messages_per_market=250, seed=3), folder / "recordings")
        build_dataset([folder / "recordings"], str(folder / "data"), BuildConfig(workers=0, split=SPLIT))
        registry = Registry(folder / "registry")
        registered(registry, Dataset.open(str(folder / "data")).digest)
        lines: list[str] = []
        tier_set = build_tiers(registry, "champion", str(folder / "data"), TiersConfig.smoke(), lines.append)
        yield folder, registry, tier_set, lines


def invoke(place, *arguments):
    folder = place[0]
    return CliRunner().invoke(app, ["tiers", *arguments, "--registry", str(folder / "registry")])


def test_a_set_holds_three_tiers_of_the_champions_observation(place):
    _, registry, tier_set, lines = place
    assert newest_tier_set(registry, tier_set.model) == tier_set
    assert [t.number for t in tier_set.tiers] == [1, 2, 3]
    champion = tier_set.tiers[-1]
    assert champion.spec == registry.record(tier_set.model).spec
    assert (champion.weights, champion.temperature, champion.exit_threshold) == (WEIGHTS_NAME, 1.0, None)
    for tier in tier_set.tiers[:-1]:
        assert tier.spec.replace(level=champion.spec.level.model_dump()) == champion.spec
        assert tier.spec.level.attention_layers == 0
        assert tier_artefact(registry, tier_set, tier.weights)
        assert fastest(tier.forms).accepted
    assert tier_set.window == 8
    assert any("temperature" in line for line in lines)


def test_the_report_judges_by_events_that_chose_nothing(place):
    folder, registry, tier_set, _ = place
    report = stored_report(registry, tier_set)
    bank = open_bank(str(folder / "data"), "validation", ENV.groups)
    tuning, judging = halves({m.event for m in bank.markets})
    assert (report.calibration_events, report.choice.n_events) == (len(tuning), len(tuning))
    assert report.judgement.n_events == len(judging)
    shares = [t.exit_share for t in report.judgement.tiers]
    assert sum(shares) + report.judgement.without_choice == pytest.approx(1)
    assert tier_set.report["exit_share_1"] == shares[0]
    for tier, judged in zip(tier_set.tiers, report.judgement.tiers, strict=True):
        assert judged.exit_threshold == tier.exit_threshold


def test_judging_again_finds_the_same_but_for_the_time_it_takes(place):
    folder, registry, tier_set, _ = place
    first = stored_report(registry, tier_set).judgement
    again = report_tiers(registry, "champion", str(folder / "data")).judgement
    times = {"p50_ms", "p99_ms", "wall_p99_ms", "wall_s", "expected_ms", "champion_expected_ms"}
    timed = dict.fromkeys(times, True) | {"tiers": {"__all__": {"p50_ms", "p99_ms"}}}
    assert again.model_dump(exclude=timed) == first.model_dump(exclude=timed)


def test_the_test_split_is_judged_only_on_purpose_and_every_opening_is_written_down(place, tmp_path):
    folder, registry, _, _ = place
    data = str(folder / "data")
    found = report_tiers(registry, "champion", data, final=True, log_folder=tmp_path)
    assert (found.judgement.split, found.judgement.half, found.opened_before) == ("test", False, 0)
    assert report_tiers(registry, "champion", data, final=True, log_folder=tmp_path).opened_before == 1
    assert len((tmp_path / OPENINGS_FILE).read_text().splitlines()) == 2


def test_another_dataset_than_the_models_is_refused(place, tmp_path):
    folder, _, _, _ = place
    registry = Registry(tmp_path)
    name = registered(registry, "e" * 12)
    with pytest.raises(ContractError, match="was trained on dataset eeeeeeeeeeee"):
        build_tiers(registry, name, str(folder / "data"), TiersConfig.smoke())
    with pytest.raises(ContractError, match="has no tiers"):
        report_tiers(registry, name, str(folder / "data"))


def test_a_cascade_that_always_asks_the_champion_acts_as_the_champion(place):
    folder, _, _, _ = place
    bank = open_bank(str(folder / "data"), "validation", ENV.groups)
    policy = made_policy("tiny", seed=4)
    theatre = Theatre(bank, {m.event for m in bank.markets}, ENV, policy, TiersConfig.smoke().judge)
    ready = ReadyTier(3, TorchEngine(policy.network), 1.0, None)
    played = theatre.play_cascade(cascade_of(policy.spec, [ready]))
    assert played.tally.agreement == 1.0
    assert played.tally.exit_shares[3] + played.tally.exit_shares[4] == pytest.approx(1)


def test_a_tier_that_never_exits_is_not_asked(place):
    policy = made_policy("tiny")
    engine = TorchEngine(policy.network)
    ready = [ReadyTier(1, engine, 1.0, None), ReadyTier(2, engine, 1.0, 0.9), ReadyTier(3, engine, 1.0, 0.5)]
    asked = cascade_of(policy.spec, ready).tiers
    assert [(t.number, t.exit_threshold) for t in asked] == [(2, 0.9), (3, None)]


def test_the_pages_show_every_figure_and_fetch_nothing(place, tmp_path):
    folder, registry, tier_set, _ = place
    done = invoke(place, "report", "champion", "--dataset", str(folder / "data"), "--out", str(tmp_path))
    assert done.exit_code == 0, done.output
    report = read_page(tmp_path / JSON_NAME)
    html = (tmp_path / HTML_NAME).read_text()
    assert report.choice == stored_report(registry, tier_set).choice
    assert not re.search(r"(src|href)=", html)
    assert html.count("<svg") >= 8
    for words in (
        report.choice.pair.first and f"{report.choice.pair.first:.4f}",
        "Reliability",
        report.model,
    ):
        assert not words or words in html
    assert "1 MLP" in done.stdout
    assert report.choice.reason[:30] in done.stdout


def test_show_prints_the_newest_set_as_one_json_value(place):
    done = invoke(place, "show", "champion", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["model"] == place[2].model


def test_the_build_command_changes_the_settings_it_is_told(place, tmp_path):
    folder = place[0]
    done = invoke(
        place, "build", "champion", "--dataset", str(folder / "data"), "--smoke", "--out", str(tmp_path),
        "--max-value-loss", "0.5", "--set", "learn.epochs=1", "--seed", "7", "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["config"]["thresholds"]["max_value_loss"] == 0.5
    assert (found["config"]["seed"], len(found["learnings"][0]["epochs"])) == (7, 1)
    assert len([n for n in place[1].files(place[2].model) if n.startswith("tiers-")]) == 2
    wrong = invoke(place, "build", "champion", "--dataset", str(folder / "data"), "--set", "learn.pace=1")
    assert wrong.exit_code == 2
    assert "unknown setting 'learn.pace'" in wrong.output


def test_without_final_the_test_split_stays_shut():
    from kalshi_platform.evaluation.judging.evaluation import Subject
    from kalshi_platform.evaluation.judging.held_out import open_held_out

    with pytest.raises(LimitError):
        open_held_out("test", False, Path(), Subject())


def test_the_exit_curve_counts_who_leaves_and_who_is_right():
    curve = exit_curve(np.array([0.2, 0.4, 0.6, 0.8]), np.array([False, True, False, True]))
    by_threshold = {p.threshold: (p.share, p.agreement) for p in curve}
    # at 0.4 three leave, two of them right; at 0.8 one, right
    assert by_threshold[0.4] == (0.75, pytest.approx(2 / 3))
    assert by_threshold[0.8] == (0.25, 1.0)
    assert by_threshold[0.2] == (1.0, 0.5)


def test_the_value_kept_has_bounds_only_where_the_champion_surely_earns():
    config = BootstrapConfig(resamples=500)
    champion = np.linspace(0.05, 0.15, 20)
    kept = value_kept(champion * 0.9, champion, config)
    assert (kept.estimate, kept.low, kept.high) == (pytest.approx(0.9),) * 3
    shaky = champion - 0.095
    kept = value_kept(shaky * 0.9, shaky, config)
    assert kept.estimate == pytest.approx(0.9)
    assert (kept.low, kept.high) == (None, None)
    assert "read the difference" in kept.note
    assert value_kept(champion, champion - 1, config) is None


def test_a_network_without_a_form_that_is_exact_enough_is_refused(place):
    forms = [f.replace(accepted=False) for f in place[2].tiers[0].forms]
    with pytest.raises(DataError, match="exact enough"):
        fastest(forms)
