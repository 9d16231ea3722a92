"""Children of the fault bench: processes that hear and tell JSON lines, and the recorder among them."""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[2]
#: A child that says nothing for so long hangs; the machine of CI is slow and busy.
PATIENCE_S = float(os.environ.get("FAULTS_PATIENCE_S", "120"))


class Child:
    """A Python process that hears and tells JSON lines."""

    def __init__(self, module: str, *words: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        )  # fmt: skip
        self._news: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.ack = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                said = json.loads(line)
            except ValueError:
                continue  # torn by a kill
            if "ack" in said:
                self.ack = said["ack"]
            else:
                self._news.put(said)
        self._news.put(None)

    def say(self, **what: Any) -> None:
        """Tell the child something."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()

    def hear(self, key: str, patience_s: float = PATIENCE_S) -> Any:
        """Value of the next line with this key."""
        deadline = time.monotonic() + patience_s
        while True:
            said = self._news.get(timeout=max(deadline - time.monotonic(), 0.01))
            assert said is not None, f"the child ended; waited for {key!r}, exit {self._process.poll()}"
            if key in said:
                return said[key]

    def ask(self, key: str, **what: Any) -> Any:
        """Answer to a command."""
        self.say(**what)
        return self.hear(key)

    @property
    def is_running(self) -> bool:
        """False once it has ended."""
        return self._process.poll() is None

    def wait(self) -> int:
        """Exit code, once it has ended and everything it said was read."""
        code = self._process.wait(timeout=PATIENCE_S)
        self._reader.join(timeout=PATIENCE_S)
        return code

    def kill(self) -> None:
        """End it without a word."""
        self._process.kill()
        self.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what was on its way to it
                    pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()


class Recording(Child):
    """A recorder."""

    def figures(self) -> dict[str, Any]:
        """Its own figures now."""
        found: dict[str, Any] = self.ask("figures", do="figures")
        return found

    def until(
        self, what: Callable[[dict[str, Any]], object], patience_s: float = PATIENCE_S
    ) -> dict[str, Any]:
        """Wait until its figures say so."""
        deadline = time.monotonic() + patience_s
        while True:
            figures = self.figures()
            if what(figures):
                return figures
            assert time.monotonic() < deadline, f"did not come: {short(figures)}"
            time.sleep(0.05)

    def until_whole(self, patience_s: float = PATIENCE_S) -> dict[str, Any]:
        """Wait until every book is proven."""
        return self.until(is_whole, patience_s)

    def end(self) -> str:
        """Stop it cleanly; its words."""
        why: str = self.ask("ended", do="stop")
        self.wait()
        return why


def is_whole(figures: dict[str, Any]) -> bool:
    """True where a recorder has markets and every wanted book is proven."""
    return is_proven(figures) and figures["proven_now"] > 0


def is_proven(figures: dict[str, Any]) -> bool:
    """True where every wanted book of a recorder is proven, if there is one."""
    wanted = sum(market["wanted_now"] for market in figures["coverage_markets"])
    return bool(figures["connections"] > 0 and figures["proven_now"] == wanted)


def short(figures: dict[str, Any]) -> dict[str, Any]:
    """Figures without their long lists."""
    return {name: value for name, value in figures.items() if not isinstance(value, list) or len(value) < 8}
