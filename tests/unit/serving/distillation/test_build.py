"""Tiers of a registered model on a small simulated dataset: built, stored, judged again, shown."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from made.tiers_place import invoke, registered

from kalshi_platform.domain.errors import ContractError, DataError, LimitError
from kalshi_platform.evaluation.judging.held_out import OPENINGS_FILE
from kalshi_platform.models.registry.record import WEIGHTS_NAME
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.models.registry.tiers import newest_tier_set, tier_artefact
from kalshi_platform.serving.distillation.build import build_tiers, fastest, report_tiers
from kalshi_platform.serving.distillation.config import TiersConfig


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


def test_show_prints_the_newest_set_as_one_json_value(place):
    done = invoke(place, "show", "champion", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["model"] == place[2].model


def test_the_build_command_changes_the_settings_it_is_told(place, tmp_path):
    folder = place[0]
    shutil.copytree(folder / "registry", tmp_path / "registry")  # other tests look at the set that is there
    own = tmp_path, Registry(tmp_path / "registry")
    done = invoke(
        own, "build", "champion", "--dataset", str(folder / "data"), "--smoke", "--out", str(tmp_path),
        "--max-value-loss", "0.5", "--set", "learn.epochs=1", "--seed", "7", "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["config"]["thresholds"]["max_value_loss"] == 0.5
    assert (found["config"]["seed"], len(found["learnings"][0]["epochs"])) == (7, 1)
    assert len([n for n in own[1].files(place[2].model) if n.startswith("tiers-")]) == 2
    wrong = invoke(place, "build", "champion", "--dataset", str(folder / "data"), "--set", "learn.pace=1")
    assert wrong.exit_code == 2
    assert "unknown setting 'learn.pace'" in wrong.output


def test_without_final_the_test_split_stays_shut():
    from kalshi_platform.evaluation.judging.evaluation import Subject
    from kalshi_platform.evaluation.judging.held_out import open_held_out

    with pytest.raises(LimitError):
        open_held_out(SimpleNamespace(uri="", entries=lambda split: ["a"]), "test", False, Path(), Subject())


def test_a_network_without_a_form_that_is_exact_enough_is_refused(place):
    forms = [f.replace(accepted=False) for f in place[2].tiers[0].forms]
    with pytest.raises(DataError, match="exact enough"):
        fastest(forms)


def test_a_set_that_saves_nothing_is_stored_to_stand_in_and_that_is_said(place, tmp_path):
    folder = place[0]
    shutil.copytree(folder / "registry", tmp_path / "registry")
    own = tmp_path, Registry(tmp_path / "registry")
    files = own[1].files(place[2].model)
    words = ("build", "champion", "--dataset", str(folder / "data"), "--smoke", "--out", str(tmp_path))
    # never an exit: the champion decides all, in the replica itself
    never = ("--set", "thresholds.agreement_floor=1", "--set", "thresholds.min_agreement=1")
    done = invoke(own, *words, *never, "--set", "thresholds.for_fallback=false")
    assert done.exit_code == 0, done.output
    shown = " ".join(done.stdout.split())
    assert "The tiers save nothing here" in shown
    assert "tiers 1 and 2 of a stored set only answer where tier 3 fails or is late" in shown
    assert "stored as tiers-" in shown
    assert set(own[1].files(place[2].model)) > set(files)
    page = (tmp_path / "tiers.html").read_text()
    assert "The tiers save nothing here" in page
    assert "A service asks tier 3 alone" in page
    assert "tier 3 inside the replica, no hop" in page
