"""Sweeps on machines that share no disk: from the documented command to a challenger in a bucket's registry.

``make test-cluster`` (tests/cluster) breaks such clusters; here is the way that must always work.
"""

import pytest
from made.machines import HOME, ROOT, WORK, Machine, why_not

pytestmark = [pytest.mark.ray, pytest.mark.timeout(400)]


@pytest.fixture(scope="module", autouse=True)
def _machines() -> None:
    if reason := why_not():
        pytest.skip(f"this computer makes no machines of its own (tests/made/machines.py): {reason}")


def test_machines_see_no_file_of_each_other_and_change_none_of_this_computer(tmp_path):
    one, other = Machine(tmp_path / "one", {}), Machine(tmp_path / "other", {}, disk_mib=8)
    try:
        for place in (WORK, HOME, "/dev/shm"):
            assert one.run(["sh", "-c", f"echo told > {place}/note"]).returncode == 0
            assert other.run(["cat", f"{place}/note"]).returncode == 1
            assert one.path(f"{place}/note").read_text() == "told\n"
        for outside in (ROOT, "/var", "/etc"):
            refused = one.run(["touch", f"{outside}/note"])
            assert "Read-only file system" in refused.stderr, outside
        assert str(tmp_path) not in one.run(["find", "/tmp", "-maxdepth", "4"]).stdout
        assert "No space left" in other.run(["sh", "-c", "head -c 20000000 /dev/zero > full"]).stderr
        assert len(one.run(["ps", "-e", "-o", "pid="]).stdout.split()) < 10  # nobody else's processes
    finally:
        one.lose()
        other.lose()


def test_a_lost_machine_takes_its_processes_with_it(tmp_path):
    machine = Machine(tmp_path / "one", {})
    started = machine.start(["sh", "-c", "sleep 300 & sleep 300"], tmp_path / "log")
    machine.lose()
    assert started.wait(timeout=20) != 0
