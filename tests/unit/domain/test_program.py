"""Commands that messages show: as the user can paste them."""

import shlex
import sys

import pytest

from kalshi_platform.domain.program import PROGRAM, command_line, program, this_command


@pytest.fixture
def script(tmp_path, monkeypatch):
    """An installed script in ``bin`` below the working folder, which is not on the PATH."""
    place = tmp_path / "bin" / PROGRAM
    place.parent.mkdir()
    place.write_text("#!/bin/sh\n")
    place.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sys, "executable", str(place.with_name("python")))
    monkeypatch.setattr(sys, "argv", ["other.py"])
    monkeypatch.setattr(sys, "orig_argv", ["python", "other.py"])
    return place


def test_a_script_that_is_on_the_path_is_called_by_its_name(script, monkeypatch):
    monkeypatch.setenv("PATH", str(script.parent))
    monkeypatch.setattr(sys, "argv", [str(script), "train"])
    assert program() == PROGRAM


def test_another_script_of_that_name_on_the_path_is_not_the_one_meant(script, tmp_path, monkeypatch):
    other = tmp_path / "other" / PROGRAM
    other.parent.mkdir()
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(other.parent))
    assert program() == f"bin/{PROGRAM}"


def test_a_script_is_called_as_the_user_typed_it(script, monkeypatch):
    monkeypatch.setattr(sys, "argv", [f"bin/../bin/{PROGRAM}", "train"])
    assert program() == f"bin/../bin/{PROGRAM}"


def test_another_program_of_this_installation_tells_where_the_script_lies(script, tmp_path, monkeypatch):
    assert program() == f"bin/{PROGRAM}"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert program() == shlex.quote(str(script))


def test_without_a_script_there_is_only_the_name(script):
    script.unlink()
    assert program() == PROGRAM


def test_words_are_quoted_so_that_a_shell_reads_them_back(script):
    words = ("evaluate", "--run", "my runs/a'b", "--dataset", "s3://b/p")
    assert shlex.split(command_line(*words)) == [f"bin/{PROGRAM}", *words]


def test_a_module_is_repeated_as_a_module(script, monkeypatch):
    monkeypatch.setattr(sys, "orig_argv", [".venv/bin/python", "-m", "tune_experiments.x", "--local"])
    assert this_command() == ".venv/bin/python -m tune_experiments.x"
    monkeypatch.setattr(sys, "orig_argv", ["python", f"bin/{PROGRAM}", "train", "-m", "x"])
    assert this_command() == f"bin/{PROGRAM}"
