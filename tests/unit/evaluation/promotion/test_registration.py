"""A run's record is read before it is registered; what is missing is named."""

import json

import pytest

from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.evaluation.promotion.registration import _read_run, register_run
from kalshi_platform.models.registry.store import Registry

WHOLE = {"dataset": "/data", "dataset_digest": "d" * 12, "commit": "0123456789ab", "packages": {"torch": "2"}}


def test_the_record_is_found_beside_the_run_and_above_its_checkpoints(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps(WHOLE))
    checkpoint = tmp_path / "checkpoints" / "iter-3"
    checkpoint.mkdir(parents=True)
    assert _read_run(tmp_path) == _read_run(checkpoint) == WHOLE


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (None, "run.json"),
        ("{", "is not JSON"),
        ("[]", "its fields"),
        (json.dumps({k: v for k, v in WHOLE.items() if k != "commit"}), "commit"),
    ],
    ids=["absent", "cut off", "no object", "without a commit"],
)
def test_a_run_whose_record_is_absent_or_not_whole_is_refused(tmp_path, text, named):
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    with pytest.raises(DataError, match=named):
        _read_run(tmp_path)


def test_a_folder_that_is_no_run_registers_nothing(tmp_path):
    with pytest.raises((ContractError, DataError), match="nothing"):
        register_run(Registry(tmp_path / "registry"), tmp_path / "nothing", str(tmp_path))
    assert Registry(tmp_path / "registry").models() == []
