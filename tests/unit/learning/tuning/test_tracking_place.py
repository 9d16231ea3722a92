"""Where MLflow's runs lie, and how they come through the loss of a machine."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from kalshi_platform.domain.errors import DataError, StorageError
from kalshi_platform.domain.places import HOME_VARIABLE
from kalshi_platform.learning.tuning.tracking_place import (
    TRACKING_FILE,
    URI_VARIABLE,
    TrackingPlace,
    place_of_sweep,
    tracking_place,
)


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    monkeypatch.delenv(URI_VARIABLE, raising=False)


def figures(file: Path, n: int) -> Path:
    """A file with ``n`` figures, as far as this module looks."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    with closing(sqlite3.connect(file)) as made:
        made.execute("create table metrics (value real)")
        made.executemany("insert into metrics values (?)", [(float(k),) for k in range(n)])
        made.commit()
    return file


def count(file: Path) -> int:
    with closing(sqlite3.connect(file)) as found:
        return found.execute("select count(*) from metrics").fetchone()[0]


def test_the_place_is_the_server_else_the_sweeps_own_file_else_one_of_the_home(tmp_path, monkeypatch):
    assert tracking_place().file == tmp_path / "home" / TRACKING_FILE
    assert tracking_place(tmp_path / "out").file == tmp_path / "home" / TRACKING_FILE
    of_sweep = tracking_place(tmp_path / "out", "s3://bucket/sweep")
    assert of_sweep == (
        f"sqlite:///{tmp_path}/out/{TRACKING_FILE}", tmp_path / "out" / TRACKING_FILE, "s3://bucket/sweep"
    )  # fmt: skip
    monkeypatch.setenv(URI_VARIABLE, "http://tracking:5000")
    assert tracking_place(tmp_path / "out", "s3://bucket/sweep") == TrackingPlace("http://tracking:5000")


def test_a_lost_machine_takes_no_run_with_it(tmp_path):
    storage = tmp_path / "storage"
    first = tracking_place(tmp_path / "first", str(storage))
    figures(tmp_path / "first" / TRACKING_FILE, 3)
    first.keep()
    shutil.rmtree(tmp_path / "first")
    second = tracking_place(tmp_path / "second", str(storage))
    second.file.parent.mkdir()
    second._bring(second.file)
    assert count(second.file) == 3


@pytest.mark.parametrize(("here", "there", "taken"), [(5, 3, 5), (3, 5, 5), (0, 2, 2)])
def test_of_two_files_the_one_with_more_figures_is_taken(tmp_path, here, there, taken):
    figures(tmp_path / "storage" / TRACKING_FILE, there)
    file = figures(tmp_path / "out" / TRACKING_FILE, here)
    tracking_place(tmp_path / "out", str(tmp_path / "storage"))._bring(file)
    assert count(file) == taken


def test_a_damaged_file_gives_way_to_the_copy(tmp_path):
    figures(tmp_path / "storage" / TRACKING_FILE, 2)
    file = tmp_path / "out" / TRACKING_FILE
    file.parent.mkdir()
    file.write_bytes(b"no database at all, but long enough to be looked at" * 20)
    tracking_place(tmp_path / "out", str(tmp_path / "storage"))._bring(file)
    assert count(file) == 2


def test_only_a_file_that_nobody_copies_is_cautioned_on_a_cluster(tmp_path, monkeypatch):
    assert tracking_place().caution(1) == ""
    assert "--storage" in tracking_place().caution(2)
    assert tracking_place(tmp_path, "s3://bucket/x").caution(2) == ""
    monkeypatch.setenv(URI_VARIABLE, "http://tracking:5000")
    assert tracking_place().caution(2) == ""


def test_a_sweep_without_runs_of_its_own_is_refused_and_one_in_a_storage_is_fetched(tmp_path):
    with pytest.raises(DataError, match=r"holds no mlflow\.db: only a sweep with --storage"):
        place_of_sweep(str(tmp_path), tmp_path / "cache")
    with pytest.raises(DataError, match="name the --storage of a sweep"):
        place_of_sweep(f"file://{tmp_path}", tmp_path / "cache")
    figures(tmp_path / TRACKING_FILE, 4)
    assert place_of_sweep(str(tmp_path), tmp_path / "cache").file == tmp_path / TRACKING_FILE
    fetched = place_of_sweep(f"file://{tmp_path}", tmp_path / "cache")
    assert fetched.file == tmp_path / "cache" / TRACKING_FILE
    assert count(fetched.file) == 4


def test_a_password_is_not_shown():
    place = TrackingPlace("http://user:hidden@tracking:5000")
    assert place.shown == "http://tracking:5000"
    assert place.reason(Exception("http://user:hidden@tracking:5000 refused\nmore")) == (
        "http://tracking:5000 refused"
    )


def test_a_sweep_that_is_looked_at_is_that_of_the_place_now(tmp_path):
    """Another sweep may have the prefix by now, with fewer figures than the one looked at before."""
    for n in (5, 2):
        figures(tmp_path / TRACKING_FILE, n)
        assert count(place_of_sweep(f"file://{tmp_path}", tmp_path / "cache").file) == n


def test_what_a_killed_process_left_beside_the_old_file_does_not_touch_the_copy(tmp_path):
    figures(tmp_path / "storage" / TRACKING_FILE, 4)
    file = figures(tmp_path / "out" / TRACKING_FILE, 2)
    left = file.with_name(f"{TRACKING_FILE}-journal")
    left.write_bytes(b"pages of the old file")
    tracking_place(tmp_path / "out", str(tmp_path / "storage"))._bring(file)
    assert count(file) == 4
    assert not left.exists()


def test_a_damaged_file_is_refused_before_a_sweep_with_what_to_do(tmp_path):
    place = tracking_place()
    place.file.write_bytes(b"no database at all, but long enough to be looked at" * 20)
    with pytest.raises(
        StorageError, match=r"cannot be tracked at sqlite:.*mlflow\.db: .*; move that file away"
    ):
        place.open()


def test_a_password_with_a_slash_is_not_shown_and_a_file_is():
    assert TrackingPlace("postgresql://me:open/sesame@host/db").shown == "postgresql://host/db"
    assert TrackingPlace("sqlite:////data/a@b.db").shown == "sqlite:////data/a@b.db"
