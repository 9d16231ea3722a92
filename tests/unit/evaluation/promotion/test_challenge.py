"""A model that does not trade, or whose checkup found an error, displaces no better challenger."""

import pytest
from made.registry_models import IDLE, OVERTRADING, flawed, made_policy, made_record

from kalshi_platform.evaluation.promotion.challenge import challenge
from kalshi_platform.models.registry.store import CHALLENGER, Registry


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path / "registry")


def model(registry, seed, kind):
    record, files = made_record(made_policy(seed=seed))
    kinds = {
        "sound": lambda: flawed(record),
        "unknown": lambda: record,
        "flawed": lambda: flawed(record, OVERTRADING),
        "idle": lambda: flawed(record, action_counts=IDLE),
    }
    return registry.add(kinds[kind](), files)


@pytest.mark.parametrize(
    ("present", "new", "taken"),
    [
        (None, "sound", True),
        (None, "idle", True),
        ("sound", "sound", True),
        ("sound", "unknown", True),
        ("sound", "flawed", False),
        ("sound", "idle", False),
        ("unknown", "flawed", False),
        ("unknown", "idle", False),
        ("flawed", "flawed", True),
        ("flawed", "idle", False),
        ("idle", "idle", True),
        ("idle", "flawed", True),
        ("idle", "sound", True),
    ],
)
def test_a_flawed_model_displaces_no_better_challenger(registry, present, new, taken):
    before = model(registry, 0, present) if present else None
    if before is not None:
        challenge(registry, before)
    record = model(registry, 1, new)
    asked = challenge(registry, record, "won")
    assert asked.taken is taken
    expected = record.id if taken else before.id
    assert (asked.challenger, registry.aliases().model(CHALLENGER)) == (expected, expected)
    if not taken:
        assert asked.words.startswith(f"held back: {record.id} is registered, but ")
        assert f"the challenger stays {before.id}" in asked.words
        assert f"models promote {record.id} --alias challenger --registry {registry.uri}" in asked.words
    elif new in ("flawed", "idle"):
        assert "although it" in asked.words


def test_the_same_model_asked_again_stays_challenger_without_a_new_entry(registry):
    record = model(registry, 0, "idle")
    for _ in range(2):
        assert challenge(registry, record).taken
    assert registry.aliases().number == 1
