"""The folder of HAProxy's admin socket."""

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from serve_deployments import private_folder
from serve_deployments.front import FrontBounds
from serve_deployments.local import switches as serve_switches
from serve_deployments.private_folder import BINARY, make, switches


def test_the_folder_is_its_users_alone_and_everything_of_haproxy_lies_in_it():
    folder = make()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    places = switches(folder, FrontBounds())
    assert all(place == str(folder) or place.startswith(f"{folder}/") for place in places.values())
    assert set(places) <= set(serve_switches("127.0.0.1", ha_proxy=True))
    assert stat.S_IMODE(Path(places[BINARY]).stat().st_mode) == 0o700


def test_a_long_temporary_folder_leaves_room_for_the_name_of_a_socket(monkeypatch, tmp_path):
    long = tmp_path / ("x" * 80)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    assert len(str(make() / ("n" * 56) / "metrics.sock.1234567.tmp")) <= 107


@contextmanager
def maker(place: Path, then: str = "sys.stdin.read()") -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that made a folder in ``place``, and the folder; the process is killed."""
    code = (
        "import sys\nfrom serve_deployments import private_folder\nprivate_folder._ROOM = 500\n"
        f"print(private_folder.make(), flush=True)\n{then}"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(place)},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A temporary folder in which this process makes its own."""
    monkeypatch.setattr(private_folder, "_ROOM", 500)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_folder_of_a_killed_process_goes_and_that_of_a_living_one_stays(here: Path):
    with maker(here) as (_, killed):
        (killed / "haproxy.cfg").write_text("global\n")
    with maker(here) as (_, living):
        assert not killed.exists(), "the second process swept it"
        mine = make()
        assert sorted(here.iterdir()) == sorted([living, mine])


def test_a_process_id_that_another_process_has_now_proves_an_end(here: Path):
    with maker(here) as (_, folder):
        record = folder / "process"
        boot, space, pid, start = record.read_text().split()
        record.write_text(f"{boot} {space} {pid} {int(start) - 1}")
        make()
        assert not folder.exists()


@pytest.mark.parametrize("record", [None, "", "a b c d", "{boot} pid:[1] {pid} 1", "other {space} {pid} 1"])
def test_a_folder_that_is_not_known_to_be_left_behind_stays(here: Path, record: str | None):
    """One of an older release, one whose record is being written, one of another container or machine."""
    with maker(here) as (_, folder):
        boot, space, pid, _ = (folder / "process").read_text().split()
    (folder / "process").unlink()
    if record is not None:
        (folder / "process").write_text(record.format(boot=boot, space=space, pid=pid))
    make()
    assert folder.is_dir()


def test_no_link_is_followed_and_no_folder_of_another_user_is_touched(here: Path, monkeypatch):
    with maker(here) as (_, folder):
        elsewhere = here / "elsewhere"
    folder.rename(elsewhere)
    (here / "kps-link").symlink_to(elsewhere)
    linked = here / "kps-record"
    linked.mkdir()
    (linked / "process").symlink_to(elsewhere / "process")
    make()
    assert elsewhere.is_dir()
    assert linked.is_dir()
    elsewhere.rename(folder)
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    make()
    assert folder.is_dir()


def test_a_service_that_ends_itself_at_once_leaves_no_folder(here: Path):
    with maker(here, "from serve_deployments.stopping import _end_at_once\n_end_at_once([])") as (
        process,
        folder,
    ):
        assert process.wait(60) == 1
        assert not folder.exists()
