"""A dataset, a registry with a champion, and its tiers: made once for this folder."""

import pytest
from made.tiers_place import SPLIT, registered

from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.serving.distillation.build import build_tiers
from kalshi_platform.serving.distillation.config import TiersConfig
from kalshi_platform.simulation.replay.open import CACHE_VARIABLE
from kalshi_platform.simulation.simexchange import SimConfig, simulate


@pytest.fixture(scope="package")
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
        built = build_tiers(registry, "champion", str(folder / "data"), TiersConfig.smoke(), lines.append)
        yield folder, registry, built.tier_set, lines
