"""A shell may start the program with closed streams or in a folder that is gone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

#: What ``>&-`` and its like do, and the program behind them; then the number that a file gets.
CLOSED = """
import os, sys
for number in {numbers}:
    os.close(number)
    setattr(sys, ("stdin", "stdout", "stderr")[number], None)
from kalshi_platform.cli.surroundings import open_streams
open_streams()
print("for nobody")
print("for nobody", file=sys.stderr)
inherits = all(os.get_inheritable(number) for number in (0, 1, 2))
with open(sys.argv[1], "w") as file:
    os._exit(file.fileno() if inherits and sys.stdin is not None else 100)
"""


@pytest.mark.parametrize("numbers", [(0,), (1,), (2,), (0, 1, 2), (1, 2), ()])
def test_a_file_never_gets_the_number_of_a_closed_stream(tmp_path, numbers):
    program = CLOSED.format(numbers=numbers)
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "file"], capture_output=True, timeout=60, check=False
    )
    assert done.returncode in range(3, 20), (done.returncode, done.stderr)
    assert (tmp_path / "file").read_bytes() == b""


PROGRAM = "from kalshi_platform.cli.start import main; main()"
ROOT = Path(__file__).resolve().parents[3]


def ended(*words: str, **options):
    """Status, stdout and stderr of the program with its ``words``."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    done = subprocess.run([*words], text=True, timeout=60, check=False, **pipes)
    return done.returncode, done.stdout, done.stderr


def test_a_refusal_has_its_exit_code_where_stdout_is_closed(tmp_path):
    words = (sys.executable, "-c", PROGRAM, "dataset", "info", str(tmp_path))
    code, _, said = ended("sh", "-c", 'exec "$@" >&-', "sh", *words)
    assert code == 3
    assert said.startswith(f"kalshi-platform: {tmp_path} is no complete dataset")
    assert "Traceback" not in said


def test_a_folder_that_is_gone_is_named_before_a_library_misses_it(tmp_path):
    (tmp_path / "gone").mkdir()
    code, _, said = ended(
        "sh", "-c", 'rmdir "$PWD" && exec "$@"', "sh", sys.executable, "-c", PROGRAM, "--version",
        cwd=tmp_path / "gone", env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert code == 2
    assert said.startswith("kalshi-platform: the working folder cannot be used (No such file")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_help_that_fits_nowhere_is_told_in_words():
    with open("/dev/full", "w") as full:
        code, _, said = ended(sys.executable, "-c", PROGRAM, "--help", stdout=full)
    assert (code, said) == (3, "kalshi-platform: disk full: free some space and repeat\n")
