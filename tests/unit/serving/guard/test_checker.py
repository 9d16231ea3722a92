"""A check ends in a numbered model or in words with a fault; only a silent registry is an error."""

import pytest
from made.guards import Loader, damaged

from kalshi_platform.domain.errors import ContractError, DataError, StorageError
from kalshi_platform.models.registry.examples import Example, ExampleMarket, add_example
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.serving.guard.candidate import CheckConfig
from kalshi_platform.serving.guard.checker import Checker
from kalshi_platform.serving.guard.watch import WatchConfig
from kalshi_platform.serving.inference.ready import ModelKey
from kalshi_platform.serving.inference.tiered import TieredConfig

pytestmark = pytest.mark.usefixtures("one_torch_thread", "cost_ms")


def checker(registry: Registry, load=None, announce=None) -> Checker:
    return Checker(registry, load or Loader(), announce, CheckConfig(), WatchConfig(), TieredConfig())


def test_models_that_pass_are_numbered_and_announced_first(registry, models):
    heard = []
    checks = checker(registry, announce=heard.append)
    found = [checks.check(ModelKey(model, None), None, None) for model in models[:2]]
    assert [each.served.number for each in found] == [1, 2]
    assert heard == [ModelKey(model, None) for model in models[:2]]
    assert all(each.verdict.accepted for each in found)


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (MemoryError("no room"), "machine"),
        (ImportError("no onnxruntime"), "machine"),
        (OSError(24, "too many open files"), "machine"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "machine"),
        (ContractError("does not fit this program"), "machine"),
        (DataError("its weights do not fit its record"), "model"),
        (ZeroDivisionError("planted"), "model"),
    ],
)
def test_a_refusal_says_whose_fault_it_is(registry, models, error, fault):
    def load(*_):
        raise error

    served, verdict = checker(registry, load).check(ModelKey(models[0], None), None, None)
    assert (served, verdict.fault, verdict.accepted) == (None, fault, False)
    assert str(error) in verdict.reason


def test_a_registry_that_does_not_answer_is_no_refusal(registry, models):
    def load(*_):
        raise StorageError("bucket away")

    with pytest.raises(StorageError):
        checker(registry, load).check(ModelKey(models[0], None), None, None)


def test_numbers_that_are_wrong_are_the_models_fault(registry, models):
    loader = Loader()
    loader.damage[models[0]] = damaged
    assert checker(registry, loader).check(ModelKey(models[0], None), None, None).verdict.fault == "model"


def test_a_kept_example_comes_along_and_a_damaged_one_does_no_harm(registry, models, tmp_path):
    market = ExampleMarket(ticker="A-1", row=(0.5,), history=(), allowed=("HOLD",))
    example = Example(source="here", columns=("a",), markets=(market,))
    add_example(registry, models[0], example)
    key = ModelKey(models[0], None)
    assert checker(registry).check(key, None, None).served.example == example
    (path,) = (tmp_path / "registry" / "models" / models[0]).glob("example-*.json")
    path.write_text("{")
    assert checker(registry).check(key, None, None).served.example is None
