"""Settings in words, from the fields of a configuration alone."""

from typing import Annotated, Literal

import pytest
from pydantic import Field

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.setting import settings_of


class Part(Config):
    weight: float = Field(0.5, ge=0, lt=1, description="share of it")
    latency_ms: int = Field(50, ge=0)
    style: Literal["taker", "maker"] = "taker"
    names: tuple[str, ...] = Field(("a",), min_length=1)


class Whole(Config):
    seed: int = Field(0, ge=0, description="root", json_schema_extra={"unit": "number"})
    part: Part = Part()
    over: Annotated[int, Field(ge=0)] | Literal["run"] = "run"
    always: bool = True
    maybe: float | None = None
    other: Part | None = None
    any: tuple[int, ...] | None = None
    parts: tuple[Part, ...] = ()
    either: Part | Literal["none"] = "none"
    by_name: dict[str, int | float] = Field(default={})


SETTINGS = settings_of(Whole)


def test_names_are_dotted_and_in_the_order_of_the_fields():
    assert list(SETTINGS) == [
        "seed", "part.weight", "part.latency_ms", "part.style", "part.names", "over", "always", "maybe",
        "other", "any", "parts", "either", "by_name",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "unit", "allowed"),
    [
        ("seed", "number", "0 or more"),
        ("part.weight", "", "0 or more, below 1"),
        ("part.latency_ms", "ms", "0 or more"),
        ("part.style", "", "taker or maker"),
        ("part.names", "", "1 of them or more"),
        ("over", "", "0 or more or run"),
        ("always", "", "true or false"),
        ("maybe", "", "a number or null"),
        ("other", "", "an object of its fields or null"),
        ("any", "", ""),
    ],
)
def test_unit_and_allowed_values_follow_from_the_field(name, unit, allowed):
    assert (SETTINGS[name].unit, SETTINGS[name].allowed) == (unit, allowed)


def test_values_of_an_instance_stand_in_place_of_the_defaults():
    found = settings_of(Whole, Whole(part=Part(weight=0.25)).model_dump(mode="json"))
    assert (found["part.weight"].default, found["over"].default_text) == (0.25, "run")
    assert found["part.names"].default_text == '["a"]'


def test_a_wrong_name_is_refused_with_the_nearest_and_its_meaning():
    with pytest.raises(
        ContractError, match=r"unknown setting 'part.wieght'; did you mean part.weight \(share"
    ):
        Whole().with_values({"part.wieght": 1})


def test_a_wrong_value_is_refused_once_with_all_that_is_allowed_and_its_meaning():
    with pytest.raises(ContractError) as refused:
        Whole().with_values({"part.weight": 7, "over": -1})
    first, *lines = str(refused.value).splitlines()
    assert first == "settings refused:"
    assert lines == [
        "  Whole.part.weight = 7: Input should be less than 1; allowed: 0 or more, below 1 [share of it]",
        "  Whole.over = -1: Input should be greater than or equal to 0 or Input should be 'run'; "
        "allowed: 0 or more or run",
    ]


def test_an_unknown_key_of_a_mapping_is_told_the_nearest_as_well():
    with pytest.raises(ContractError, match=r"Whole\.part\.wait = 1: .*did you mean part.weight"):
        Whole.parse({"part": {"wait": 1}})


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"other": {"weight": 7}}, "Whole.other.weight = 7"),
        ({"other": {"wait": 7}}, "Whole.other.wait = 7"),
        ({"other": 7}, "Whole.other = 7"),
        ({"parts": [{}, {"weight": 7}]}, "Whole.parts.1.weight = 7"),
        ({"either": {"weight": 7}}, "Whole.either.weight = 7"),
        ({"by_name": {"a": "x"}}, "Whole.by_name.a = 'x'"),
        ({"over": -1}, "Whole.over = -1"),
    ],
)
def test_a_wrong_value_is_named_by_its_whole_place_and_by_no_type(values, named):
    with pytest.raises(ContractError) as refused:
        Whole.parse(values)
    assert str(refused.value).splitlines()[1].startswith(f"  {named}: ")
