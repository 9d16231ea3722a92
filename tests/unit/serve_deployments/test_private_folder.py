"""The folder of HAProxy's admin socket."""

import stat
import tempfile
from pathlib import Path

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
