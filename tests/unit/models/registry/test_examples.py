"""The example of a model: kept once beside it, absent or damaged without harm to the model."""

import pytest
from made.registry_models import add

from kalshi_platform.domain.errors import DataError
from kalshi_platform.models.registry.examples import (
    Example,
    ExampleMarket,
    add_example,
    read_example,
)
from kalshi_platform.models.registry.store import Registry

MARKET = ExampleMarket(ticker="A-1", row=(0.5, 0.25), history=((0.5,), (0.75,)), allowed=("HOLD",))
EXAMPLE = Example(source="recorded data, dataset d", columns=("a", "b"), markets=(MARKET,))


def test_an_example_is_read_as_it_was_kept_and_the_first_one_stays(tmp_path):
    registry = Registry(tmp_path)
    model = add(registry).id
    assert read_example(registry, model) is None
    add_example(registry, model, EXAMPLE)
    add_example(registry, model, EXAMPLE.replace(source="another"))
    assert read_example(registry, model) == EXAMPLE


@pytest.mark.parametrize("content", ["", "{", "{}", '{"source": "x", "columns": [], "markets": []}', "0.75"])
def test_an_example_that_is_damaged_or_of_which_one_number_changed_is_named(tmp_path, content):
    registry = Registry(tmp_path)
    model = add(registry).id
    add_example(registry, model, EXAMPLE)
    (path,) = (tmp_path / "models" / model).glob("example-*.json")
    path.write_text(path.read_text().replace("0.75", "0.74") if content == "0.75" else content)
    with pytest.raises(
        DataError, match=rf"{model}/{path.name} is damaged \([\s\S]*\): delete it, and register"
    ):
        read_example(registry, model)
    path.unlink()
    add_example(registry, model, EXAMPLE)  # the remedy
    assert read_example(registry, model) == EXAMPLE
