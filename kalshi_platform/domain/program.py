"""Commands that a message shows, written so that the user can paste them.

``kalshi-platform`` is on the PATH where a virtual environment is active; elsewhere a user calls it by its
path, as ``make`` does. A shown command repeats what works here.
Not    a shell's syntax: words are quoted for sh, as the documents' are.
"""

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Final

#: Name of the program, and of the script that the installation puts beside the interpreter.
PROGRAM: Final = "kalshi-platform"


def program() -> str:
    """Return how to call this program from here, quoted for a shell.

    The bare name where the PATH leads to this installation's script; else the script's path as the user
    typed it, or as it lies from the working folder. The bare name, too, where there is no such script.
    """
    called = Path(sys.argv[0]) if sys.argv and Path(sys.argv[0]).name == PROGRAM else None
    script = called or Path(sys.executable).with_name(PROGRAM)
    on_path = shutil.which(PROGRAM)
    if not script.is_file() or (on_path and os.path.samefile(on_path, script)):
        return PROGRAM
    if called is None and script.is_relative_to(Path.cwd()):
        script = script.relative_to(Path.cwd())
    return shlex.quote(str(script))


def command_line(*words: object) -> str:
    """Complete command of this program with ``words`` as its arguments, quoted for a shell."""
    return " ".join([program(), shlex.join(map(str, words))])


def this_command() -> str:
    """Return how the present command was called, up to its options: to be repeated with others.

    ``python -m tune_experiments.curriculum_sweep`` for a module; else :func:`program`.
    """
    words = sys.orig_argv
    for before, word, after in zip(words, words[1:], words[2:], strict=False):
        if word == "-m":
            return shlex.join([words[0], "-m", after])
        if not word.startswith("-") and before not in ("-X", "-W"):
            break  # the script: what follows are its own options
    return program()
