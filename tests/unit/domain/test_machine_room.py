"""Cores, memory and disk: the machine's, or what a container's limits leave of them."""

import shutil

from kalshi_platform.domain.machine_room import cgroup_cores, free_disk_bytes, free_memory_bytes, own_cores


def test_a_container_limits_cores_and_memory(tmp_path):
    new = tmp_path / "new"
    new.mkdir()
    (new / "cpu.max").write_text("150000 100000\n")
    (new / "memory.max").write_text("3000000\n")
    (new / "memory.current").write_text("1000000\n")
    assert (cgroup_cores(new), free_memory_bytes(new)) == (1.5, 2_000_000)
    (new / "memory.stat").write_text("anon 400000\ninactive_file 300000\nactive_file 200000\n")
    assert free_memory_bytes(new) == 2_500_000  # pages of files are given up when memory is asked for
    (new / "cpu.max").write_text("max 100000\n")
    assert cgroup_cores(new) is None
    old = tmp_path / "old"
    for name, text in (
        ("cpu/cpu.cfs_quota_us", "400000"),
        ("cpu/cpu.cfs_period_us", "100000"),
        ("memory/memory.limit_in_bytes", "500"),
        ("memory/memory.usage_in_bytes", "700"),
    ):
        (old / name).parent.mkdir(parents=True, exist_ok=True)
        (old / name).write_text(text)
    assert (cgroup_cores(old), free_memory_bytes(old)) == (4.0, 0)
    (old / "memory" / "memory.stat").write_text(
        "active_file 1\ntotal_inactive_file 250\ntotal_active_file 50\n"
    )
    assert free_memory_bytes(old) == 100
    (old / "cpu" / "cpu.cfs_quota_us").write_text("-1")
    assert cgroup_cores(old) is None
    assert free_memory_bytes(tmp_path / "nothing") > 0


def test_this_process_has_a_core():
    assert own_cores() >= 1


def test_the_disk_of_a_folder_that_is_not_there_yet_is_that_of_its_parent(tmp_path, monkeypatch):
    asked = []
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: asked.append(place) or usage)
    assert free_disk_bytes(tmp_path / "new" / "deeper") == usage.free
    assert asked == [tmp_path]
    assert free_disk_bytes(tmp_path / ("a" * 300) / "b") == usage.free  # longer than a name may be
    assert asked == [tmp_path] * 2
