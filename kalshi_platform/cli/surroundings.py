"""Surroundings that every command needs and a shell may lack: open streams, a folder to stand in.

Why      a program that is started with a closed stream (``>&-``, a few supervisors) gets the number of that
         stream for the next file it opens: what is printed then lands in a recording or a checkpoint.
When     in the program's first lines, before anything is opened.
"""

import io
import os
import sys
from typing import Final

from kalshi_platform.domain.errors import ContractError

_STREAMS: Final = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def open_streams() -> None:
    """Open the null device in place of each standard stream that is closed."""
    for number, (name, mode) in enumerate(_STREAMS):
        try:
            os.fstat(number)
        except OSError:
            handle = os.open(os.devnull, os.O_RDWR)
            if handle != number:
                os.dup2(handle, number)
                os.close(handle)
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            text = io.TextIOWrapper(io.FileIO(number, mode, closefd=False), "utf-8", "replace")
            setattr(sys, name, text)


def require_folder() -> None:
    """Raise ContractError where the working folder is gone: libraries find none of their files then."""
    try:
        os.getcwd()
    except OSError as error:
        raise ContractError(
            f"the working folder cannot be used ({error.strerror}): change to another one"
        ) from None
