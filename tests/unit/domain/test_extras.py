"""domain/extras.py and pyproject.toml say the same of what an extra brings."""

import re
import tomllib

import pytest
from made.scripts import ROOT

from kalshi_platform.domain import extras
from kalshi_platform.domain.errors import ContractError

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OPTIONAL = PROJECT["optional-dependencies"]


def names(requirements: list[str]) -> set[str]:
    """Distributions that ``requirements`` name, without their versions and extras."""
    return {re.split(r"[\[<>=]", line)[0] for line in requirements}


def test_all_extras_take_one_ray_and_no_package_of_an_extra_stands_in_the_base():
    lines = [line for part in (PROJECT["dependencies"], *OPTIONAL.values()) for line in part]
    assert {re.sub(r"\[.*\]", "", line) for line in lines if line.startswith("ray")} == {"ray==2.60.0"}
    for name, packages in extras.EXTRAS.items():
        assert not names(PROJECT["dependencies"]) & set(packages)
        assert names(OPTIONAL[name]) - {"ray"} <= set(packages)


def test_all_is_every_extra_that_a_command_needs_and_the_tools():
    (line,) = OPTIONAL["all"]
    assert set(re.fullmatch(r"kalshi-platform\[(.*)\]", line)[1].split(",")) == {*extras.EXTRAS, "dev"}


def test_what_is_installed_is_not_missed(monkeypatch):
    extras.require_extras("a command")
    monkeypatch.setitem(extras.EXTRAS, "track", ("json", "no_such_package"))
    assert extras.missing_packages("track") == ["no_such_package"]
    with pytest.raises(
        ContractError, match=r"^a command needs .*\(no_such_package\): .*'kalshi-platform\[track\]'"
    ):
        extras.require_extras("a command", "track")
    monkeypatch.setitem(extras.EXTRAS, "track", ("json",))
    extras.require_extras("a command", "track")
