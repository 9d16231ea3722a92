"""What a report was made from, and when it may be shown again."""

import json
from types import SimpleNamespace

import pytest

from kalshi_platform.workflows import judged as module
from kalshi_platform.workflows.judged import JUDGED_FILE, judged_from, remember, still_true


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a report on one run, and that run's own; reports are read as their text."""
    monkeypatch.setattr(module, "read_report", lambda path: path.read_text())
    run = tmp_path / "seed-0"
    (run / "checkpoints" / "000007").mkdir(parents=True)
    (run / "best").symlink_to("checkpoints/000007")
    own = run / "report.json"
    own.write_text("own")
    (tmp_path / "report.json").write_text("shown")
    (tmp_path / "report.html").write_text("page")
    return SimpleNamespace(out=tmp_path, run=run, own=own)


def basis(place, commit="abc123", **changes):
    values = {"settings": {"seeds": 1}, "dataset_digest": "d" * 12, **changes}
    return judged_from(runs=[place.run], commit=commit, **values)


def test_a_report_of_the_same_settings_data_code_and_policy_is_shown_again(place):
    assert still_true(place.out, basis(place), [place.own]) is None  # nothing was remembered yet
    remember(place.out, basis(place))
    assert json.loads((place.out / JUDGED_FILE).read_text())["checkpoints"] == ["000007"]
    assert still_true(place.out, basis(place), [place.own]) == ["own"]


@pytest.mark.parametrize(
    "changes", [{"commit": "def456"}, {"dataset_digest": "e" * 12}, {"settings": {"seeds": 2}}]
)
def test_whatever_changes_is_judged_anew(place, changes):
    remember(place.out, basis(place))
    assert still_true(place.out, basis(place, **changes), [place.own]) is None


def test_another_best_checkpoint_or_another_report_in_the_folder_is_judged_anew(place):
    remember(place.out, basis(place))
    (place.out / "report.json").write_text("of other recordings")
    assert still_true(place.out, basis(place), [place.own]) is None
    remember(place.out, basis(place))
    (place.run / "best").unlink()
    (place.run / "best").symlink_to("checkpoints/000009")
    assert still_true(place.out, basis(place), [place.own]) is None


def test_a_missing_or_damaged_file_is_judged_anew(place):
    remember(place.out, basis(place))
    for path in (place.own, place.out / "report.html"):
        text = path.read_text()
        path.unlink()
        assert still_true(place.out, basis(place), [place.own]) is None
        path.write_text(text)
    (place.out / JUDGED_FILE).write_text("{")
    assert still_true(place.out, basis(place), [place.own]) is None


@pytest.mark.parametrize("commit", [None, "abc123-dirty"])
def test_code_without_an_exact_name_is_always_judged_anew_and_an_older_memory_is_removed(place, commit):
    remember(place.out, basis(place))
    assert basis(place, commit=commit) is None
    assert still_true(place.out, None, [place.own]) is None
    remember(place.out, None)
    assert not (place.out / JUDGED_FILE).exists()
