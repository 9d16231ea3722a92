"""Every wrong field is told by its path, with what is allowed there; the search is bounded."""

import time
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.serving.api.messages import AccountMessage, OpenMessage
from kalshi_platform.serving.api.requests import DecideRequest
from kalshi_platform.serving.api.wrong_fields import (
    MAX_COUNTED,
    MAX_LISTED,
    WrongField,
    WrongFields,
    parse_message,
    shortened,
    wrong_fields,
)


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, Field(min_length=1, pattern=r"^[A-Za-z0-9._-]+$")]
    size: Annotated[int, Field(ge=0, le=10)] = 0
    kind: Literal["a", "b"] = "a"


class Whole(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    parts: list[Part] = Field(min_length=1, fail_fast=True, description="what it is made of")
    ratio: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    by_name: dict[str, Part] = Field({}, fail_fast=True)
    numbers: Annotated[list[float], Field(fail_fast=True)] | str = ""
    source: Literal["real"] | Literal["made", "found"] | None = None
    is_open: bool = False

    @model_validator(mode="after")
    def _agree(self) -> "Whole":
        if self.is_open and self.ratio:
            raise ValueError("is_open and ratio exclude each other: send one of them")
        return self


def wrong_in(value, model=Whole) -> WrongFields:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(value)
    return wrong_fields(model, value, caught.value)


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ({}, [("parts", "", "is missing: what it is made of")]),
        ([], [("", "[]", "send an object of fields")]),
        ({"parts": []}, [("parts", "[]", "send a list of at least 1")]),
        ({"parts": {}}, [("parts", "{}", "send a list")]),
        ({"parts": [3]}, [("parts.0", "3", "send an object of fields")]),
        (
            {"parts": [{"name": "a"}, {"name": "a b", "size": 11, "kind": "c"}, {"size": -1}]},
            [
                ("parts.1.name", "'a b'", "send letters, digits and . _ - only"),
                ("parts.1.size", "11", "send at most 10"),
                ("parts.1.kind", "'c'", "send one of 'a' or 'b'"),
                ("parts.2.name", "", "is missing"),
                ("parts.2.size", "-1", "send at least 0"),
            ],
        ),
        ({"parts": [{"name": "a", "size": 1.5}]}, [("parts.0.size", "1.5", "send a whole number")]),
        ({"parts": [{"name": "a"}], "ratio": 0}, [("ratio", "0", "send more than 0")]),
        ({"parts": [{"name": "a"}], "ratio": "1"}, [("ratio", "'1'", "send a number")]),
        ({"parts": [{"name": "a"}], "ratio": float("nan")}, [("ratio", "nan", "send a finite number")]),
        (
            {"parts": [{"name": "a"}], "by_name": {"x": {"name": "x"}, "y": {"name": ""}}},
            [("by_name.y.name", "''", "send text of length 1 or more")],
        ),
        (
            {"parts": [{"name": "a"}], "numbers": [1, "2", 3, None]},
            [("numbers.1", "'2'", "send a number"), ("numbers.3", "null", "send a number")],
        ),
        (
            {"parts": [{"name": "a"}], "source": "x"},
            [("source", "'x'", "send one of 'real', 'made', 'found'")],
        ),
        ({"parts": [{"name": "a"}], "is_open": 1}, [("is_open", "1", "send true or false")]),
        (
            {"parts": [{"name": "a"}], "is_open": True, "ratio": 1.0},
            [("", "an object with 3 fields", "is_open and ratio exclude each other: send one of them")],
        ),
    ],
)  # fmt: skip
def test_every_wrong_field_is_told_with_its_value_and_what_is_allowed(value, wrong):
    found = wrong_in(value)
    assert [tuple(each) for each in found.listed] == wrong
    assert (found.n, found.is_all) == (len(wrong), True)


def test_a_field_that_does_not_exist_is_told_with_those_that_do():
    (only,) = wrong_in({"parts": [{"name": "a", "colour": "red"}]}).listed
    assert only == WrongField("parts.0.colour", "'red'", "there is no such field; there are name, size, kind")
    (only,) = wrong_in({"parts": [{"name": "a", "knid": "a"}]}).listed
    assert only.allowed == "there is no such field; did you mean kind?"


def test_the_first_twenty_are_listed_and_the_others_counted_as_far_as_the_search_goes():
    found = wrong_in({"parts": [{"name": "a", "size": -1}] * 30})
    assert (len(found.listed), found.n, found.is_all) == (MAX_LISTED, 30, True)
    assert found.words.endswith("; and 10 more wrong fields")
    found = wrong_in({"parts": [{"name": "a", "size": -1}] * 300})
    assert (len(found.listed), found.n, found.is_all) == (MAX_LISTED, MAX_COUNTED, False)
    assert found.words.endswith("; and at least 180 more wrong fields")


@pytest.mark.parametrize(
    "groups",
    [
        [{}] * 500_000,
        [{"markets": [{}] * 500_000}],
        [{"markets": [{"row": ["x"] * 500_000}]}],
        [{"markets": [{"history": [[]] * 100_000 + [["x"]] * 400_000}]}],
    ],
)
def test_a_body_of_half_a_million_wrong_values_costs_little_and_is_not_repeated(groups):
    # Named one by one by pydantic, four megabytes of {} took 70 s and 6 GB.
    body = {"request_id": "r", "feature_digest": "d", "columns": ["a"], "groups": groups}
    began_s = time.process_time()
    found = wrong_in(body, DecideRequest)
    assert time.process_time() - began_s < 10
    assert found.n <= MAX_COUNTED
    assert len(found.words) < 10_000


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("x" * 61, f"'{'x' * 60}'... (61 characters)"),
        (10**18, "a whole number of more than 18 digits"),
        ([1, 2], "a list of 2"),
        ({"a": 1}, "an object with 1 field"),
        (True, "true"),
        (None, "null"),
        (0.5, "0.5"),
    ],
)
def test_a_value_is_repeated_in_short(value, shown):
    assert shortened(value) == shown


def test_a_message_of_a_stream_is_refused_with_every_wrong_field():
    opening = {"type": "open", "source": "live", "surce": "real", "decision_interval_ms": -1}
    with pytest.raises(ContractError) as refused:
        parse_message(OpenMessage, opening, "open")
    words = str(refused.value)
    assert words.startswith("the open message is refused: decision_interval_ms = -1: send at least 0; ")
    assert "source = 'live': send one of 'real', 'recorded', " in words
    assert "surce = 'real': there is no such field; did you mean source?" in words


def test_a_message_whose_fields_contradict_each_other_says_which():
    account = {"type": "account", "cash_e6": 5, "reserved_e6": 9}
    with pytest.raises(ContractError, match="refused: reserved_e6=9 exceeds cash_e6=5"):
        parse_message(AccountMessage, account, "account")
    assert parse_message(AccountMessage, {**account, "cash_e6": 9}, "account").cash_e6 == 9
