"""A file or folder is replaced whole or not at all, whenever its writer is killed."""

import os
import subprocess
import sys

import pytest

from kalshi_platform.storage.whole_file import (
    append_line,
    create_whole,
    is_leftover,
    point_to,
    whole_folder,
    write_whole,
)


def test_text_and_bytes_arrive_and_replace_what_was_there(tmp_path):
    write_whole(tmp_path / "a.json", "é")
    write_whole(tmp_path / "a.json", "ü\n")
    assert (tmp_path / "a.json").read_bytes() == "ü\n".encode()
    write_whole(tmp_path / "b.bin", b"\x00\x01")
    assert (tmp_path / "b.bin").read_bytes() == b"\x00\x01"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b.bin"]


def full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_write_that_breaks_off_leaves_the_old_file(tmp_path, monkeypatch):
    write_whole(tmp_path / "a", "old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(tmp_path / "a", "new")
    with pytest.raises(OSError, match="No space left"):
        create_whole(tmp_path / "b", b"new")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "old")]


def order_of(monkeypatch, tmp_path, act) -> list[str]:
    """Names of what is synced ("/": the folder) and renamed, in order."""
    steps = []
    fsync, replace, rename = os.fsync, os.replace, os.rename

    def synced(handle):
        name = os.path.basename(os.readlink(f"/proc/self/fd/{handle}"))
        steps.append(
            "sync /" if name == tmp_path.name else f"sync {'partial' if is_leftover(name) else name}"
        )
        fsync(handle)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", lambda *a: (steps.append("rename"), replace(*a)))
    monkeypatch.setattr(os, "rename", lambda *a: (steps.append("rename"), rename(*a)))
    act()
    return steps


def test_bytes_reach_the_disk_before_the_name_and_the_name_before_the_call_returns(tmp_path, monkeypatch):
    def act():
        write_whole(tmp_path / "a", b"1")
        write_whole(tmp_path / "b", b"1", sync_name=False)
        create_whole(tmp_path / "c", b"1")

    assert order_of(monkeypatch, tmp_path, act) == [
        "sync partial", "rename", "sync /",
        "sync partial", "rename",
        "sync partial", "sync /",
    ]  # fmt: skip


def test_a_folders_files_reach_the_disk_before_its_name(tmp_path, monkeypatch):
    def act():
        with whole_folder(tmp_path / "folder") as folder:
            (folder / "f").write_bytes(b"1")

    assert order_of(monkeypatch, tmp_path, act) == ["sync f", "sync partial", "rename", "sync /"]
    assert (tmp_path / "folder" / "f").read_bytes() == b"1"


def test_a_folder_replaces_one_only_where_that_is_wanted(tmp_path):
    for text in ("old", "new"):
        with whole_folder(tmp_path / "a", replace=True) as folder:
            (folder / "f").write_text(text)
    assert (tmp_path / "a" / "f").read_text() == "new"
    with pytest.raises(OSError, match="not empty"), whole_folder(tmp_path / "a") as folder:
        (folder / "f").write_text("newer")
    with pytest.raises(ZeroDivisionError), whole_folder(tmp_path / "a", replace=True):
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "f"]
    assert (tmp_path / "a" / "f").read_text() == "new"


def test_lines_are_added(tmp_path):
    append_line(tmp_path / "log", "one")
    append_line(tmp_path / "log", "two")
    assert (tmp_path / "log").read_text() == "one\ntwo\n"


def test_the_leftover_of_a_killed_write_is_recognised():
    assert is_leftover("events/.EVENT.0123.parquet.4711.partial")
    assert not is_leftover("events/EVENT.0123.parquet")
    assert not is_leftover("notes.partial")


#: Kills itself with SIGKILL before and after every system call that a write makes, one after the other:
#: each fork gets one step further than the one before it, the last one to the end. It knows nothing of how
#: writing is done.
KILLED_AT_EVERY_STEP = """
import os, signal, sys
from pathlib import Path
from kalshi_platform.storage.whole_file import append_line, create_whole, whole_folder, write_whole

root, how = Path(sys.argv[1]), sys.argv[2]
OLD, NEW = b"o" * 50_000, b"n" * 300_000
target = root / "target"

def write(data):
    if how == "folder":
        with whole_folder(target, replace=True) as folder:
            for name in "ab":
                (folder / name).write_bytes(data)
    elif how == "create":
        create_whole(target, data)
    elif how == "line":
        append_line(target, data.decode())
    else:
        write_whole(target, data)

def content():
    if not target.exists():
        return None
    if how == "folder":
        return tuple(path.read_bytes() for path in sorted(target.iterdir()))
    return target.read_bytes()

def whole(data):
    return {"folder": (data, data), "line": data + b"\\n"}.get(how, data)

def reset():
    for path in root.glob("target*") if how != "folder" else ():
        path.unlink()
    if how == "create":
        return None
    if how == "line":
        target.write_bytes(whole(OLD))
        return whole(OLD)
    write(OLD)
    return whole(OLD)

seen, step = [], 0
while True:
    step += 1
    before = reset()
    child = os.fork()
    if child == 0:
        left = step
        def count(frame, event, arg):
            global left
            if event.startswith("c_") and (
                arg.__module__ in ("posix", "_io", "io") or type(arg.__self__).__module__ == "_io"
            ):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.setprofile(count)
        write(NEW)
        sys.setprofile(None)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    found = content()
    after = before + whole(NEW) if how == "line" else whole(NEW)
    # A folder cannot be swapped in one step: between two it may be absent, never half there.
    allowed = [before, after, None] if how == "folder" else [before, after]
    if found not in allowed:
        sys.exit(f"step {step}: neither the old nor the new under the final name")
    seen.append(found == after)
    if os.WIFEXITED(status):
        break
    if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
        sys.exit(f"step {step}: ended with {status}")
assert seen == sorted(seen), seen  # once it is there it stays
print(seen.count(False), seen.count(True))
"""


@pytest.mark.parametrize("how", ["write", "create", "folder", "line"])
def test_a_writer_killed_at_any_step_leaves_the_old_or_the_new_whole(tmp_path, how):
    done = subprocess.run(
        [sys.executable, "-c", KILLED_AT_EVERY_STEP, str(tmp_path), how],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    before, after = map(int, done.stdout.split())
    assert before > 5  # kills that hit before the name changed
    assert after > 2  # and after it


def test_a_link_is_relative_and_moves_to_a_new_target_in_one_step(tmp_path):
    for name in ("one", "two"):
        (tmp_path / "work" / name).mkdir(parents=True)
        point_to(tmp_path / "dataset", tmp_path / "work" / name)
        assert os.readlink(tmp_path / "dataset") == f"work/{name}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dataset", "work"]


def test_a_link_does_not_replace_a_folder_and_leaves_nothing_behind(tmp_path):
    (tmp_path / "dataset" / "full").mkdir(parents=True)
    with pytest.raises(OSError, match="dataset"):
        point_to(tmp_path / "dataset", tmp_path / "work")
    assert [path.name for path in tmp_path.iterdir()] == ["dataset"]


def test_a_disk_without_links_says_so_and_keeps_nothing(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "symlink", refuse)
    with pytest.raises(OSError, match="not supported"):
        point_to(tmp_path / "dataset", tmp_path)
    assert list(tmp_path.iterdir()) == []
