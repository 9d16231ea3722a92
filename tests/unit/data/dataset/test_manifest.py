"""A manifest: what lies where, refused where it contradicts itself."""

import pytest
from made.stored import make_dataset

from kalshi_platform.data.dataset.manifest import MANIFEST_NAME
from kalshi_platform.data.dataset.store import (
    Dataset,
)
from kalshi_platform.domain.errors import DataError


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: "{", "no JSON"),
        (
            lambda text: text.replace('"version": 1', '"version": 9'),
            "manifest version 9, this program reads 1",
        ),
        (lambda text: text.replace('"volatility": 0.0', '"volatility": -1.0', 1), r"markets\.0\.volatility"),
        (
            lambda text: text.replace('"split": "train"', '"split": "test"', 1),
            "event EV is in test and train",
        ),
        (lambda text: text.replace('"ticker": "EV-B"', '"ticker": "EV-A"'), "market EV-A is listed twice"),
        (
            lambda text: text.replace('"kind": "features"', '"kind": "events"'),
            "event EV has no features shard",
        ),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(tmp_path, rng, change, message):
    make_dataset(tmp_path, rng)
    path = tmp_path / MANIFEST_NAME
    path.write_text(change(path.read_text()))
    with pytest.raises(DataError, match=rf"{path}: .*{message}|{path}: {message}"):
        Dataset.open(tmp_path)
