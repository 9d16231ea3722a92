"""Verdicts on what an alias named: bounded files, the first of a name stands, damage is told."""

import pytest

from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.models.registry.verdicts import KeptVerdict

MODEL = "tiny-0123456789ab"


def verdict(**changes) -> KeptVerdict:
    values = {
        "alias": "champion", "entry": 4, "model": MODEL, "tier_set": None, "fault": "model", "reason": "nan",
        "host": "here", "at": "2026-01-01T00:00:00.000+00:00", "by": "me@here",
    }  # fmt: skip
    return KeptVerdict(**values | changes)


@pytest.fixture
def registry(tmp_path) -> Registry:
    return Registry(tmp_path)


def test_verdicts_are_kept_by_alias_and_entry_oldest_first(registry):
    late = verdict(tier_set="0" * 12, at="2026-01-02T00:00:00.000+00:00", fault="")
    for each in (late, verdict(), verdict(entry=5), verdict(alias="canary")):
        registry.add_verdict(each)
    assert registry.verdicts("champion", 4) == [verdict(), late]
    assert registry.verdicts("champion", 6) == []
    assert [v.served for v in registry.verdicts("champion", 4)] == [False, True]


def test_of_two_verdicts_of_one_name_the_first_stands(registry):
    registry.add_verdict(verdict())
    registry.add_verdict(verdict(reason="another", at="2026-01-03T00:00:00.000+00:00"))
    assert registry.verdicts("champion", 4) == [verdict()]


def test_a_fault_of_the_model_binds_every_host_and_that_of_a_machine_its_own():
    assert verdict().binds("anywhere")
    slow = verdict(fault="machine")
    assert (slow.binds("here"), slow.binds("there")) == (True, False)
    assert not verdict(fault="").binds("here")
    again = verdict(fault="machine", at="2026-01-03T00:00:00.000+00:00")
    assert len({slow.path, again.path, verdict(fault="machine", host="there").path}) == 3


@pytest.mark.parametrize("content", [b"", b"[]", b'{"alias": "champion"}', b"\x80\x04N."])
def test_a_damaged_verdict_is_named_and_never_unpickled(registry, tmp_path, content):
    registry.add_verdict(verdict())
    path = tmp_path / verdict().path
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"{MODEL}\.alone\.refused\.json is damaged"):
        registry.verdicts("champion", 4)


def test_a_verdict_that_was_moved_is_refused_and_other_files_are_left_alone(registry, tmp_path):
    registry.add_verdict(verdict())
    (tmp_path / "verdicts/champion/000004/notes.txt").write_text("mine")
    assert len(registry.verdicts("champion", 4)) == 1
    other = tmp_path / verdict(entry=5).path
    other.parent.mkdir()
    (tmp_path / verdict().path).rename(other)
    with pytest.raises(DataError, match="edited or moved"):
        registry.verdicts("champion", 5)


def test_a_fault_of_another_name_is_no_verdict():
    with pytest.raises((ContractError, ValueError)):
        verdict(fault="nobody")
