"""The made markets under the feature table's names, for the tests of heads and foresight."""

from dataclasses import replace

from kalshi_platform.data.features.spec import features_of
from kalshi_platform.simulation.replay.bank import Bank
from made.bank import N_FEATURES, made_bank

NAMES = tuple(f.name for f in features_of(["orderbook", "temporal"]))


def named_bank() -> Bank:
    """The made markets under the feature table's names; the mid stands in the first column there too."""
    assert len(NAMES) == N_FEATURES
    return replace(made_bank(), feature_names=NAMES)
