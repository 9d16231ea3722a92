"""``doctor --security``: each exposure is found, and a sound machine is said to be one."""

import json
import os
from types import SimpleNamespace

import psutil
import pytest
from typer.testing import CliRunner

from kalshi_platform.cli import doctor_security
from kalshi_platform.cli.doctor_security import (
    check_admin_token,
    check_bounds,
    check_haproxy,
    check_listeners,
    check_orphans,
    is_of_ray,
    is_private,
)
from kalshi_platform.cli.main import app


@pytest.fixture
def folder(tmp_path):
    """An open folder in one of its user's alone, as HAProxy's manager makes them."""
    tmp_path.chmod(0o700)
    inner = tmp_path / "node"
    inner.mkdir(mode=0o755)
    return inner


def test_a_folder_below_a_closed_one_is_private_and_an_open_one_is_not(folder):
    assert is_private(folder)
    assert not is_private(type(folder)("/usr"))


def test_an_admin_socket_in_an_open_folder_fails_and_names_it(folder):
    assert check_haproxy([folder / "haproxy.cfg"]).status == "OK"
    found = check_haproxy([folder / "haproxy.cfg", type(folder)("/usr/haproxy.cfg")])
    assert (found.status, found.detail) == ("FAIL", "other users can open the admin socket in /usr")


def test_a_haproxy_without_deadlines_is_warned_of_by_its_configuration(tmp_path):
    bounded, plain = tmp_path / "bounded.cfg", tmp_path / "plain.cfg"
    bounded.write_text("    timeout http-request 5s\n    option http-buffer-request\n")
    plain.write_text("    timeout client 3600s\n")
    assert check_bounds([bounded]).status == "OK"
    found = check_bounds([bounded, plain, tmp_path / "gone.cfg"])
    assert found.status == "WARN"
    assert found.detail.endswith(f"in {plain}, {tmp_path / 'gone.cfg'}")


@pytest.mark.parametrize(
    ("parent", "is_orphan"),
    [
        (["/sbin/init"], True),
        (["/usr/lib/systemd/systemd", "--user"], True),  # adopts on a desktop, under a number of its own
        (["ray::HAProxyManager.update"], False),
    ],
)
def test_a_haproxy_whose_service_is_gone_fails_by_its_number(parent, is_orphan):
    process = SimpleNamespace(
        pid=4_711, parent=lambda: SimpleNamespace(name=lambda: parent[0], cmdline=lambda: parent)
    )
    found = check_orphans([(None, process)])
    assert (found.status, found.advice) == (("FAIL", "kill 4711") if is_orphan else ("OK", ""))


def test_only_a_haproxy_that_ray_started_is_looked_at(tmp_path):
    rays, another = tmp_path / "rays.cfg", tmp_path / "another.cfg"
    rays.write_text("global\n\nfrontend http_frontend\n    bind 127.0.0.1:8000\n")
    another.write_text("frontend web\n    bind *:80\n")
    assert is_of_ray(rays)
    assert not is_of_ray(another), "the advice would be to kill a machine's own HAProxy"
    assert is_of_ray(tmp_path / "kps-gone" / "haproxy.cfg"), "an orphan's folder is gone"
    assert not is_of_ray(tmp_path / "gone" / "haproxy.cfg")


def test_a_folder_that_this_user_cannot_look_into_is_private(monkeypatch, tmp_path):
    def closed(self, **_):
        raise PermissionError

    monkeypatch.setattr(type(tmp_path), "stat", closed)
    assert is_private(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        ["python", "-m", "uvicorn", "--host", "0.0.0.0", "mlflow.server.fastapi_app:app"],
        ["python", "-u", "/venv/site-packages/ray/dashboard/dashboard.py", "--host=0.0.0.0"],
        ["python", "-m", "serve_deployments.container"],
        ["python", "-m", "kalshi_platform.cli.curves_server"],
    ],
)
def test_ports_of_servers_that_python_runs_by_module_are_listed(monkeypatch, line):
    server = SimpleNamespace(
        pid=1, name=lambda: "python", cmdline=lambda: line,
        net_connections=lambda kind: [
            SimpleNamespace(laddr=SimpleNamespace(ip="0.0.0.0", port=5_000), status="LISTEN")
        ],
    )  # fmt: skip
    monkeypatch.setattr(psutil, "process_iter", lambda: [server])
    found = check_listeners()
    assert (found.status, found.detail) == ("WARN", "other machines can reach 0.0.0.0:5000 python")


def test_a_machine_with_many_open_ports_gets_a_short_line_that_counts_the_rest(monkeypatch):
    open_ports = [
        SimpleNamespace(laddr=SimpleNamespace(ip="0.0.0.0", port=port), status="LISTEN")
        for port in range(10_000, 10_200)
    ]
    server = SimpleNamespace(
        pid=1, name=lambda: "ray::ServeReplica:policy", cmdline=lambda: ["raylet"],
        net_connections=lambda kind: open_ports,
    )  # fmt: skip
    monkeypatch.setattr(psutil, "process_iter", lambda: [server])
    found = check_listeners()
    assert found.status == "WARN"
    assert len(found.detail) + len(found.advice) <= 500
    assert "0.0.0.0:10000 " in found.detail
    assert " more (`ss -ltnp` lists all)" in found.detail


def test_an_admin_token_that_others_can_read_fails(tmp_path):
    path = tmp_path / "token"
    assert check_admin_token(path).status == "OK"
    path.write_text("x")
    path.chmod(0o640)
    found = check_admin_token(path)
    assert (found.status, found.detail) == ("FAIL", f"{path} has mode 0640")
    path.chmod(0o600)
    assert check_admin_token(path).status == "OK"


def test_an_admin_token_in_a_folder_where_others_may_put_another_fails(tmp_path):
    path = tmp_path / "token"
    path.write_text("x")
    path.chmod(0o600)
    tmp_path.chmod(0o777)
    assert check_admin_token(path).detail == f"{tmp_path} has mode 0777"


def test_the_command_runs_the_checks_of_access_alone(monkeypatch, tmp_path):
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    (tmp_path / "token").write_text("x")
    os.chmod(tmp_path / "token", 0o644)
    monkeypatch.setattr(doctor_security, "_running", lambda: iter(()))
    outcome = CliRunner().invoke(app, ["doctor", "--security", "--json"])
    report = json.loads(outcome.stdout)
    assert [check["name"] for check in report["checks"]] == [
        "ray token", "admin token", "haproxy", "bounds", "orphans", "ports",
    ]  # fmt: skip
    assert outcome.exit_code == 1
    assert "0644" in report["checks"][0]["detail"]
