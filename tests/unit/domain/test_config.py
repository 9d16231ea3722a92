"""Configuration base: frozen, closed, and named by its digest."""

import hashlib
import subprocess
import sys

import pytest
from pydantic import Field, ValidationError

from kalshi_platform.domain.config import Config, digest_of, with_present_names
from kalshi_platform.domain.errors import ContractError


class Inner(Config):
    weight: float = Field(0.5, ge=0, le=1)


class Settings(Config):
    steps: int = Field(4, gt=0)
    name: str = "a"
    inner: Inner = Inner()


def test_the_digest_is_the_sha256_of_the_canonical_json():
    text = '{"inner":{"weight":0.5},"name":"a","steps":4}'  # keys sorted, no spaces
    assert Settings().digest == hashlib.sha256(text.encode()).hexdigest()[:12]


def test_equal_settings_have_equal_digests_and_any_change_shows():
    assert Settings(steps=4).digest == Settings().digest
    changed = {Settings(steps=5).digest, Settings(name="b").digest, Settings(inner=Inner(weight=0.25)).digest}
    assert len(changed | {Settings().digest}) == 4


def test_the_digest_does_not_depend_on_the_hash_seed_of_the_process():
    code = "from kalshi_platform.domain.config import digest_of; print(digest_of({'b': [1, 2], 'a': None}))"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert outputs == {digest_of({"a": None, "b": [1, 2]})}


def test_settings_cannot_be_changed_in_place():
    with pytest.raises(ValidationError, match="frozen"):
        Settings().steps = 5


def test_replace_changes_a_copy_and_leaves_the_original():
    before = Settings()
    after = before.replace(steps=9)
    assert (before.steps, after.steps, after.inner) == (4, 9, before.inner)


def test_replace_validates_again():
    with pytest.raises(ContractError, match=r"Settings\.steps = 0: .*greater than 0"):
        Settings().replace(steps=0)


def test_an_unknown_key_is_refused_and_named():
    with pytest.raises(ContractError, match=r"Settings\.stepz = 3"):
        Settings.parse({"stepz": 3})
    with pytest.raises(ContractError, match=r"Settings\.inner\.wait = 1"):
        Settings.parse({"inner": {"wait": 1}})


def test_every_wrong_field_is_named_with_its_value():
    with pytest.raises(ContractError) as refused:
        Settings.parse({"steps": -2, "inner": {"weight": 7}})
    assert "Settings.steps = -2" in str(refused.value)
    assert "Settings.inner.weight = 7" in str(refused.value)


def test_parse_reads_back_what_was_dumped():
    settings = Settings(steps=8, inner=Inner(weight=0.75))
    assert Settings.parse(settings.model_dump(mode="json")) == settings


def test_an_old_name_of_a_setting_becomes_the_name_of_today_and_both_are_refused():
    assert with_present_names({"pace": 2, "name": "b"}, {"pace": "steps"}) == {"steps": 2, "name": "b"}
    assert with_present_names("text", {"pace": "steps"}) == "text"  # refused by whoever reads it
    with pytest.raises(ValueError, match="pace is the old name of steps: give one of them"):
        with_present_names({"pace": 2, "steps": 2}, {"pace": "steps"})
