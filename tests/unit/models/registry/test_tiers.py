"""Tier sets beside a model: never changed, the newest is served, damage is named."""

import hashlib

import pytest
from made.registry_models import DATASET, add, made_policy

from kalshi_platform.domain.errors import ChecksumError, ContractError, DataError
from kalshi_platform.models.networks.levels import TIER_LEVELS
from kalshi_platform.models.registry.record import WEIGHTS_NAME
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.models.registry.tiers import (
    TierRecord,
    TierSet,
    add_tier_set,
    newest_tier_set,
    tier_artefact,
    tier_sets,
)


def made_set(model: str, day: int = 1, weights: bytes = b"weights") -> tuple[TierSet, dict[str, bytes]]:
    """A set of tiers 2 and 3, made on ``day``, with its one file."""
    spec = made_policy().spec
    small = spec.replace(level=TIER_LEVELS[2].model_dump())
    files = {"two.safetensors": weights}
    tiers = (
        TierRecord(number=2, spec=small, weights="two.safetensors", temperature=1.5, exit_threshold=0.9),
        TierRecord(number=3, spec=spec, weights=WEIGHTS_NAME, temperature=1.0, exit_threshold=None),
    )
    made = TierSet(
        model=model, dataset_digest=DATASET, tiers=tiers, max_value_loss=0.02, machine="two cores",
        artefacts={name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
        created_at=f"2026-01-{day:02d}T00:00:00+00:00",
    )  # fmt: skip
    return made, files


@pytest.fixture
def model(registry: Registry) -> str:
    return add(registry).id


def test_a_stored_set_comes_back_with_its_files(registry, model):
    made, files = made_set(model)
    assert add_tier_set(registry, made, files) == made
    assert tier_sets(registry, model) == [made]
    assert bytes(tier_artefact(registry, made, "two.safetensors")) == files["two.safetensors"]


def test_the_window_is_that_of_the_longest_sighted_tier(model):
    made, _ = made_set(model)
    assert made.window == 8  # tier 2 reads 8 rows, the tiny model none
    assert made.replace(tiers=made.tiers[1:]).window == 0


def test_the_newest_set_is_served_whatever_the_order_of_storing(registry, model):
    assert newest_tier_set(registry, model) is None
    newer, older = made_set(model, day=9, weights=b"new"), made_set(model, day=2)
    add_tier_set(registry, *newer)
    registry.add_files(model, {"notes.json": b"{}"})  # no set
    add_tier_set(registry, made_set(model, day=2)[0].replace(artefacts={}), {})
    assert newest_tier_set(registry, model) == newer[0]
    assert [s.created_at[:10] for s in tier_sets(registry, model)] == ["2026-01-02", "2026-01-09"]
    assert older[0].digest != newer[0].digest


def test_files_that_are_not_those_of_the_set_are_refused_and_nothing_is_stored(registry, model):
    made, _ = made_set(model)
    for files in ({"two.safetensors": b"other"}, {}, {"two.safetensors": b"weights", "more": b""}):
        with pytest.raises(ContractError, match=model):
            add_tier_set(registry, made, files)
    assert tier_sets(registry, model) == []


def test_a_changed_file_of_a_set_is_refused(registry, model, tmp_path):
    made, files = made_set(model)
    add_tier_set(registry, made, files)
    (tmp_path / "registry" / "models" / model / "two.safetensors").write_bytes(b"Weights")
    with pytest.raises(ChecksumError, match=r"two\.safetensors"):
        tier_artefact(registry, made, "two.safetensors")


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:40],
        lambda text: text.replace('"temperature": 1.5', '"temperature": 0'),
        lambda text: text.replace('"temperature": 1.5', '"temperature": 2.5'),
    ],
    ids=["cut off", "impossible", "edited"],
)
def test_a_damaged_or_edited_set_is_named(registry, model, tmp_path, damage):
    made, files = made_set(model)
    add_tier_set(registry, made, files)
    path = tmp_path / "registry" / "models" / model / f"tiers-{made.digest}.json"
    path.write_text(damage(path.read_text()))
    with pytest.raises(DataError, match=rf"{model}/tiers-{made.digest}\.json"):
        tier_sets(registry, model)
