"""The program's first lines: a signal that comes while modules are imported ends it in words."""

import signal
import subprocess
import sys
import threading

import pytest

#: The program as the console script starts it; a module that is imported first asks for the signal.
SLOW_IMPORT = """
import os, sys, types
from importlib.machinery import PathFinder

class Slow(PathFinder):
    @classmethod
    def find_spec(cls, name, *where):
        if name == "typer":
            os.kill(os.getpid(), {number})
        return None

sys.meta_path.insert(0, Slow)
from kalshi_platform.cli.start import main
sys.argv = ["kalshi-platform", "--version"]
main()
"""


def ended(program, **options):
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False, **options
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "ended by SIGTERM")],
)
def test_a_signal_during_the_first_imports_ends_the_program_in_words(number, code, words):
    assert ended(SLOW_IMPORT.format(number=int(number))) == (code, "", f"kalshi-platform: {words}\n")


#: A command whose module is imported slowly, as ray and torch are; it says when the import begins.
SLOW_COMMAND = """
import sys, time
from importlib.machinery import PathFinder

class Slow(PathFinder):
    @classmethod
    def find_spec(cls, name, *where):
        if name == "kalshi_platform.cli.doctor":
            print("importing", flush=True)
            time.sleep(60)
        return None

sys.meta_path.insert(0, Slow)
from kalshi_platform.cli.start import main
sys.argv = ["kalshi-platform", "doctor"]
main()
"""


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "ended by SIGTERM")],
)
def test_a_signal_while_a_command_is_imported_ends_the_program_in_words(number, code, words):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", SLOW_COMMAND], **pipes) as process:
        watch = threading.Timer(60, process.kill)
        watch.start()
        try:
            assert process.stdout.readline() == "importing\n"
            process.send_signal(number)
            _, stderr = process.communicate()
        finally:
            watch.cancel()
    assert (process.returncode, stderr) == (code, f"kalshi-platform: {words}\n")


def test_without_a_signal_the_program_runs_as_ever():
    program = "import sys; sys.argv = ['kalshi-platform', '--version']\n"
    code, stdout, _ = ended(program + "from kalshi_platform.cli.start import main; main()")
    assert code == 0
    assert stdout.startswith("kalshi-platform ")
