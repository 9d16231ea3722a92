"""The list of settings: complete, with a meaning each, and the page in docs is the program's."""

from made.scripts import ROOT

from kalshi_platform.learning.training.folder import sections
from kalshi_platform.learning.training.session import RunSettings
from kalshi_platform.learning.training.setting_list import run_settings, settings_page


def test_every_setting_of_a_run_is_in_the_list_with_its_meaning():
    own = RunSettings()
    found = run_settings(own)
    values = sections(**{name: getattr(own, name) for name in RunSettings.model_fields})
    assert {setting.name: setting.default for setting in found} == values
    assert [setting.name for setting in found if not setting.meaning] == []


def test_the_defaults_are_those_of_the_settings_given():
    every = run_settings(RunSettings.of_preset("every-message"))
    assert {setting.name: setting.default for setting in every}["env.decision_interval_ms"] == 0


def test_choices_that_a_table_of_the_program_decides_are_told():
    allowed = {setting.name: setting.allowed for setting in run_settings(RunSettings())}
    assert allowed["train.level"].startswith("tiny or simple")
    assert "orderbook" in allowed["env.groups"]


def test_the_page_in_docs_is_what_the_program_writes():
    written = (ROOT / "docs" / "settings.md").read_text()
    command = "python -m kalshi_platform.learning.training.setting_list > docs/settings.md"
    assert written == settings_page(), f"docs/settings.md is old: {command}"
