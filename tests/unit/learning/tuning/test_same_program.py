"""A machine with another program than the driver's is named with what differs."""

import socket

import pytest

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.learning.tuning.same_program import program_facts, require_same_program


def test_the_same_program_passes_and_no_facts_are_not_compared():
    require_same_program(program_facts())
    require_same_program({})


@pytest.mark.parametrize("name", ["kalshi-platform", "code", "features", "torch"])
def test_another_program_is_refused_by_machine_and_difference(name):
    with pytest.raises(ContractError) as refused:
        require_same_program({**program_facts(), name: "other"})
    told = f"machine {socket.gethostname()} runs another program than the driver of this sweep ({name} other"
    assert str(refused.value).startswith(told)
    assert "same image" in str(refused.value)


def test_builds_of_one_version_are_one_version(monkeypatch):
    facts = program_facts()
    version = "kalshi_platform.learning.tuning.same_program.importlib.metadata.version"
    monkeypatch.setattr(version, lambda name: f"{facts[name]}+cu128")
    require_same_program(facts)
