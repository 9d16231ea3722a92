"""Whole sessions that a test disturbs: in this process until something happened, or in one that is killed.

Child     ``python -m made.session_child PLAN``: a session with the options of a JSON file, which a test
          watches through its journal and ends.
"""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kalshi_platform.models.registry.store import Registry
from kalshi_platform.trading.execution.journal.account_name import AccountName
from kalshi_platform.trading.execution.journal.journal import FILE, open_journal
from kalshi_platform.trading.execution.journal.recover import recover
from kalshi_platform.trading.execution.risk.limits import RiskLimits
from kalshi_platform.trading.recorder.settings import RecordConfig
from kalshi_platform.trading.session.live_session import AskedSession, trade
from kalshi_platform.trading.session.modes import SimulatedMode
from kalshi_platform.trading.session.session_config import TradingSessionConfig
from kalshi_platform.trading.simserver.venue.truth import account_truth
from made.execution import WIDE
from made.stands import differences, stand_of
from made.trading_scene import SERIES, ThreadedExchange, key_in_environment, registry_with_model

ROOT = Path(__file__).parents[2]
#: Trading settings of a model that orders often and lets nothing rest for long.
BUSY = {"decision_interval_ms": 100, "order_qty_e2": 300, "position_limit_e2": 50_000}
#: A session that has not done in so long what a test waits for hangs; CI is slow and busy.
PATIENCE_S = 300.0


class Desk:
    """One account at a simulated exchange, and the folder of its sessions."""

    def __init__(self, exchange: ThreadedExchange, place: Path, style: str = "maker", **trading: Any) -> None:
        self.exchange, self.place, self.out = exchange, place, place / "session"
        self.registry: Registry = registry_with_model(
            place / "registry", order_style=style, **{**BUSY, **trading}
        )
        self.said: list[str] = []
        self._rest_url = exchange.served.url  # by the name that the newest session knows it by

    def plan(self, **more: Any) -> dict[str, Any]:
        """Options of a session, as JSON holds them."""
        urls = {"rest_url": self.exchange.served.url, "stream_url": self.exchange.served.ws_url}
        if "names" in more:  # a name, that may be unknown
            urls = {name: url.replace("127.0.0.1", "localhost") for name, url in urls.items()}
        self._rest_url = urls["rest_url"]
        return {"mode": urls, "out": str(self.out), "registry": str(self.place / "registry"), **more}

    def trade(self, until: Callable[[], bool], **more: Any) -> str:
        """Trade in this process until ``until`` is true; returns why it stopped."""
        deadline, done = time.monotonic() + PATIENCE_S, []

        self.forget_snapshot()

        def tell(line: str) -> None:
            self.said.append(line)
            if done or line.startswith("mode "):  # the first line: nothing takes a signal yet
                return
            if until():
                done.append(True)
                os.kill(os.getpid(), signal.SIGTERM)
            elif time.monotonic() > deadline:
                os.kill(os.getpid(), signal.SIGTERM)

        with key_in_environment("ed25519"):
            why = trade(asked_of(self.plan(**more)), tell)
        assert done, f"not in {PATIENCE_S:g} s: {self.said[-5:]}, {self.snapshot().get('risk')}"
        return why

    def child(self, **more: Any) -> "Child":
        """Session in a process of its own."""
        self.forget_snapshot()
        return Child(self.plan(**more), self.place / f"plan{len(list(self.place.glob('plan*')))}.json")

    @property
    def account(self) -> AccountName:
        """Account that the sessions trade."""
        with key_in_environment("ed25519"):
            return AccountName(os.environ["KALSHI_API_KEY_ID"], self._rest_url)

    # What can be seen

    def orders(self, where: str = "1") -> list[dict[str, Any]]:
        """Orders of the journal, as another process sees them."""
        return self._rows(f"orders WHERE {where}")

    def settlements(self) -> list[dict[str, Any]]:
        """Settlements of the journal."""
        return self._rows("settlements")

    def _rows(self, what: str) -> list[dict[str, Any]]:
        path = self.out / "execution" / FILE
        if not path.exists():
            return []
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5) as database:
            database.row_factory = sqlite3.Row
            try:
                return [dict(row) for row in database.execute(f"SELECT * FROM {what}")]
            except sqlite3.OperationalError:
                return []  # its tables are not made yet

    def truth(self) -> dict[str, Any]:
        """The server's own books."""
        return self.exchange.call(lambda: account_truth(self.exchange.server.venue))

    def snapshot(self) -> dict[str, Any]:
        """State that the session wrote last."""
        try:
            return json.loads((self.out / ".session" / "snapshot.json").read_text())
        except FileNotFoundError:
            return {}

    def forget_snapshot(self) -> None:
        """Take the snapshot of an earlier session away."""
        (self.out / ".session" / "snapshot.json").unlink(missing_ok=True)

    def risk(self) -> dict[str, Any]:
        """State of the limits in that snapshot."""
        return self.snapshot().get("risk") or {"mode": "", "undecided": [], "is_reconciled": False}

    def is_calm(self) -> bool:
        """True once everything is compared and decided."""
        return self.risk()["is_reconciled"] and not self.risk()["undecided"]

    def disagreements(self) -> list[str]:
        """Everything that the journal on disk and the server's books do not agree on."""
        with open_journal(self.out / "execution", self.account) as journal:
            return differences(stand_of(recover(journal)), self.truth())

    def keep(self, name: str) -> Path:
        """Copy of the journal's folder."""
        return Path(shutil.copytree(self.out / "execution", self.place / name))

    def put_back(self, kept: Path) -> None:
        """Put a copy in the place of the journal."""
        shutil.rmtree(self.out / "execution")
        shutil.copytree(kept, self.out / "execution")


class Child:
    """A session that a test kills."""

    def __init__(self, plan: dict[str, Any], path: Path) -> None:
        path.write_text(json.dumps(plan))
        paths = os.environ.get("PYTHONPATH", "")  # with a clock of the test's own on Thursdays
        self.log = path.with_suffix(".log")
        with key_in_environment("ed25519"), self.log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "made.session_child", str(path)], stdout=log, stderr=log,
                env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}:{paths}"},
            )  # fmt: skip

    def until(self, true: Callable[[], bool]) -> None:
        """Wait until something is true while the session runs."""
        deadline = time.monotonic() + PATIENCE_S
        while not true():
            assert self._process.poll() is None, self.words()
            assert time.monotonic() < deadline, f"not in {PATIENCE_S:g} s: {self.words()}"
            time.sleep(0.01)

    def until_ended_or(self, true: Callable[[], bool]) -> None:
        """Wait until something is true, or the session ended by itself."""
        deadline = time.monotonic() + PATIENCE_S
        while self._process.poll() is None and not true():
            assert time.monotonic() < deadline, f"not in {PATIENCE_S:g} s: {self.words()}"
            time.sleep(0.05)

    def kill(self) -> None:
        """End it without a word."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """End it as a user would; its exit code."""
        self._process.terminate()
        return self.wait()

    def wait(self) -> int:
        """Exit code, once it has ended."""
        return self._process.wait(timeout=PATIENCE_S)

    def words(self) -> str:
        """Everything that it said."""
        return self.log.read_text()[-3_000:]

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_error: object) -> None:
        if self._process.poll() is None:
            self.kill()


def asked_of(plan: dict[str, Any]) -> AskedSession:
    """Return the session that a plan asks for."""
    return AskedSession(
        mode=SimulatedMode.parse(plan["mode"]), config=TradingSessionConfig(hz=10.0, told_s=0.5),
        record=RecordConfig.parse({"wanted": {"series": SERIES}, **plan.get("record", {})}),
        out=Path(plan["out"]), registry=Registry(Path(plan["registry"])), alias="challenger",
        limits=RiskLimits.parse(WIDE | plan.get("limits", {})), resume=plan.get("resume", ""),
    )  # fmt: skip
