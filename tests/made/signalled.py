"""A command of this program in a process of its own that is ended by a signal: its words and what is left.

Family    every process that the command began, also one that left its parent: all carry its mark.
"""

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

from kalshi_platform.domain.listening import listeners
from made.processes import kill_all

ROOT = Path(__file__).resolve().parents[2]
#: The command as it is installed.
PROGRAM = (sys.executable, "-c", "from kalshi_platform.cli.start import main; main()")
_MARK = "KALSHI_PLATFORM_TEST_FAMILY"
#: Longest wait for the end of a command that hangs, seconds.
_HANGS_S = 120.0
#: Ray's agents may end a moment after the command, seconds.
_GRACE_S = 60.0


class Ended(NamedTuple):
    """How a command ended after its signal."""

    took_s: float
    status: int
    said: tuple[str, ...]  # lines of stderr
    left: tuple[str, ...]  # processes that outlived it
    listening: tuple[str, ...]  # what they listen on

    @property
    def traceback(self) -> str:
        """Last line of a stack trace in its words, "" where there is none."""
        begins = [
            i for i, line in enumerate(self.said) if line.startswith(("Traceback", "*** SIG", "Fatal Python"))
        ]
        return " | ".join(self.said[begins[-1] :][-3:]) if begins else ""


class Signalled:
    """A running command."""

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> None:
        self._mark = uuid.uuid4().hex
        self.said: list[str] = []
        self.child = subprocess.Popen(
            list(map(str, command)),
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            cwd=cwd,
            text=True,
            errors="replace",
            env={
                **os.environ,
                "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
                "NO_COLOR": "1",
                **(env or {}),
                _MARK: self._mark,
            },
        )
        self.began_s = time.monotonic()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def until(self, words: str, limit_s: float = 300.0) -> bool:
        """Wait for a line with ``words``; False where the command ended, or did not say it in ``limit_s``."""
        due_s = time.monotonic() + limit_s
        while time.monotonic() < due_s:
            if any(words in line for line in list(self.said)):
                return True
            if self.child.poll() is not None:
                return False
            time.sleep(0.02)
        return False

    def end(self, number: signal.Signals = signal.SIGTERM) -> Ended:
        """Send a signal and wait for the end; a command that hangs is killed, with status -9."""
        began_s = time.monotonic()
        if self.child.poll() is None:
            self.child.send_signal(number)
        try:
            status = self.child.wait(_HANGS_S)
        except subprocess.TimeoutExpired:
            self.child.kill()
            status = self.child.wait()
        took_s = time.monotonic() - began_s
        due_s = time.monotonic() + _GRACE_S
        while (left := self.family()) and time.monotonic() < due_s:
            time.sleep(0.05)
        names = tuple(_name(process) for process in left)
        ports = tuple(map(str, listeners(left)))
        kill_all(left)
        self._reading.join(_GRACE_S)
        if self.child.stderr is not None:
            self.child.stderr.close()
        return Ended(took_s, status, tuple(self.said), names, ports)

    def family(self) -> list[psutil.Process]:
        """Living processes that the command began."""
        found = []
        for process in psutil.process_iter():
            try:
                alive = process.status() != psutil.STATUS_ZOMBIE and process.pid != self.child.pid
                if alive and process.environ().get(_MARK) == self._mark:
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    def _read(self) -> None:
        assert self.child.stderr is not None
        for line in self.child.stderr:
            self.said.append(line.rstrip())


def _name(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())[:120]
    except psutil.NoSuchProcess:
        return ""
