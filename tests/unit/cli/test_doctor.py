"""The doctor: each check says FAIL, WARN or OK for the right reason, and what to do."""

import json
import os
import shutil
import socket
from importlib import metadata

import pytest
from typer.testing import CliRunner

from kalshi_platform.cli import doctor
from kalshi_platform.cli.doctor import Status
from kalshi_platform.cli.main import app


def run(*arguments: str):
    return CliRunner().invoke(app, ["doctor", *arguments])


@pytest.fixture(autouse=True)
def _no_aws(monkeypatch):
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        monkeypatch.delenv(name)


def test_what_tests_need_is_found_here_and_json_lists_every_check(tmp_path):
    outcome = run("--json", "--storage", str(tmp_path))
    report = json.loads(outcome.stdout)
    assert outcome.exit_code == (0 if report["ok"] else 1)  # memory and disk are whatever they are
    failed = {c["name"] for c in report["checks"] if c["status"] == "FAIL"}
    assert failed <= {"memory", "plan", "disk"}
    names = [c["name"] for c in report["checks"]]
    assert names == [
        "python",
        "packages",
        "torch",
        "numba",
        "ray",
        "memory",
        "cores",
        "plan",
        "disk",
        "clock",
        "storage",
    ]
    assert all(c["advice"] for c in report["checks"] if c["status"] != "OK")


def test_a_failing_check_exits_with_one_and_says_what_to_do(monkeypatch, tmp_path):
    full = shutil.disk_usage(tmp_path)._replace(free=2**30 // 10)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda place: full)
    (tmp_path / "[x]").mkdir()
    monkeypatch.chdir(tmp_path / "[x]")
    outcome = run()
    assert outcome.exit_code == 1
    (line,) = [line for line in outcome.stdout.splitlines() if line.startswith("FAIL disk")]
    assert f"0.1 GiB free at {tmp_path}/[x]" in line  # brackets are text, not markup
    assert "-> free some space" in outcome.stdout
    assert outcome.stderr.startswith("kalshi-platform: not ready: ")
    assert "disk" in outcome.stderr


@pytest.mark.parametrize(
    ("found_gib", "status"), [(0.99, Status.FAIL), (1.0, Status.WARN), (9.99, Status.WARN), (10.0, Status.OK)]
)
def test_sizes_fail_below_the_first_limit_and_warn_below_the_second(found_gib, status):
    assert doctor.by_size("disk", found_gib, (1, 10), "", "").status is status


def test_a_package_outside_its_range_is_named_with_the_range(monkeypatch):
    monkeypatch.setattr(
        doctor.metadata, "requires", lambda _: ["numpy<1", "no-such-package", "x; extra=='dev'"]
    )
    finding = doctor.check_packages()
    assert finding.status is Status.FAIL
    assert f"numpy {metadata.version('numpy')}, needed <1" in finding.detail
    assert "no-such-package is missing" in finding.detail
    assert "x is missing" not in finding.detail


def test_an_extra_that_is_not_installed_is_named_and_no_failure(monkeypatch):
    monkeypatch.setattr(doctor, "missing_packages", lambda extra: ["mlflow"] if extra == "track" else [])
    finding = doctor.check_packages()
    assert (finding.status, finding.detail) == (Status.WARN, "extras not installed: track")
    assert "kalshi-platform[track]" in finding.advice


def test_an_old_interpreter_fails(monkeypatch):
    monkeypatch.setattr(doctor.sys, "version_info", (3, 10, 9))
    assert doctor.check_python().status is Status.FAIL


def test_a_clock_in_the_past_fails(monkeypatch):
    monkeypatch.setattr(doctor.time, "time", lambda: 86_400.0)
    finding = doctor.check_clock()
    assert finding.status is Status.FAIL
    assert "1970-01-02" in finding.detail


def test_a_stepping_clock_is_warned_of(monkeypatch):
    wall = iter([1.8e9, 1.8e9 + 60])
    monkeypatch.setattr(doctor.time, "time", lambda: next(wall))
    finding = doctor.check_clock()
    assert finding.status is Status.WARN
    assert "against the monotonic" in finding.detail


@pytest.mark.parametrize(
    ("synchronised", "status"), [(True, Status.OK), (False, Status.WARN), (None, Status.WARN)]
)
def test_only_a_clock_kept_by_ntp_is_fine_for_recording(monkeypatch, synchronised, status):
    monkeypatch.setattr(doctor, "_ntp_synchronised", lambda: synchronised)
    assert doctor.check_clock().status is status


def test_half_a_pair_of_keys_fails(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    assert doctor.check_aws_variables().status is Status.FAIL


def test_an_endpoint_is_reached_or_reported(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        assert doctor.check_aws_variables().status is Status.OK
    finding = doctor.check_aws_variables()  # nobody listens any more
    assert finding.status is Status.FAIL
    assert str(port) in finding.detail


def test_a_storage_address_of_an_unknown_kind_fails_with_its_reason():
    finding = doctor.check_storage("ftp://x/y", deep=False)
    assert finding.status is Status.FAIL
    assert "'ftp'" in finding.detail


def test_the_deep_storage_check_leaves_nothing_behind(tmp_path):
    assert doctor.check_storage(str(tmp_path), deep=True).status is Status.OK
    assert list(tmp_path.iterdir()) == []


def test_the_doctor_shows_the_plan():
    outcome = CliRunner().invoke(app, ["doctor", "--json"])
    (plan,) = [c for c in json.loads(outcome.stdout)["checks"] if c["name"] == "plan"]
    assert "sampling workers" in plan["detail"]


def test_cores_that_a_containers_quota_takes_away_are_not_counted(monkeypatch):
    monkeypatch.setattr("kalshi_platform.domain.machine_room.cgroup_cores", lambda root: 1.5)
    assert doctor.check_cores().detail.startswith("1 (")


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:99999", "http://[::1", "nonsense"])
def test_an_address_of_a_store_that_is_none_fails_by_name(monkeypatch, endpoint):
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    finding = doctor.check_aws_variables()
    assert (finding.status, finding.detail.startswith(endpoint)) == (Status.FAIL, True)


def test_a_password_in_the_endpoint_is_not_shown(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://me:sesame@127.0.0.1:9")
    finding = doctor.check_aws_variables()
    assert finding.detail.startswith("http://...@127.0.0.1:9: ")
    assert "sesame" not in finding.detail


def test_a_piece_of_a_password_taken_for_a_port_is_not_shown(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://me:ses/ame@host:9000")
    finding = doctor.check_aws_variables()
    assert finding.status == Status.FAIL
    assert finding.detail == "http://...@host:9000: is no address; expected http://host[:port]"
