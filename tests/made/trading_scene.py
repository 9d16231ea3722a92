"""A simulated exchange in a thread and a registry with a model that was never trained, for sessions."""

import asyncio
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from kalshi_platform.models.registry.store import Registry
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.trading.session.live_session import AskedSession, trade
from kalshi_platform.trading.simserver.config import ServerConfig
from kalshi_platform.trading.simserver.keys import read_keys
from kalshi_platform.trading.simserver.server import ServedAddresses, Server
from made.registry_models import made_policy, made_record
from made.sim_server import demo_keys

SERIES = ("WORLDONE", "WORLDTOP")

#: A session in which what a test waits for has not happened by then has failed, on any machine.
CAP_S = 600.0

#: Answers for a snapshot (``session/snapshot.py``) as JSON.
Seen = Callable[[dict[str, Any]], bool]


class ThreadedExchange:
    """Simulated exchange on a loop of its own."""

    def __init__(self, **config: Any) -> None:
        self.server = Server(ServerConfig.parse({"seed": 1, "n_events": 3, **config}), demo_keys())
        self.served: ServedAddresses | None = None
        self._ready, self._stop = threading.Event(), None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        async with self.server.serving("127.0.0.1", 0) as self.served:
            self._ready.set()
            await self._stop.wait()

    def __enter__(self) -> "ThreadedExchange":
        self._thread.start()
        assert self._ready.wait(240), "the simulated exchange did not start"
        return self

    def call(self, work: Callable[[], Any]) -> Any:
        """Result of ``work`` on the server's own loop."""
        done: Future[Any] = Future()

        def do() -> None:
            try:
                done.set_result(work())
            except BaseException as err:
                done.set_exception(err)

        self._loop.call_soon_threadsafe(do)
        return done.result(60)

    def __exit__(self, *_error: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)


def own_variables_only(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Take our variables out of the environment, but for a home in ``folder`` and the caches."""
    for name in list(os.environ):
        if name.startswith("KALSHI_") and name not in ("KALSHI_PLATFORM_HOME", "KALSHI_PLATFORM_CACHE"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("KALSHI_PLATFORM_HOME", str(folder / "home"))


@contextmanager
def key_in_environment(name: str) -> Iterator[None]:
    """One of the demo keys (rsa, ed25519, reader) where a session looks for its key."""
    key = next(each for each in read_keys(demo_keys()).values() if each.name == name)
    path = demo_keys() / f"{name}.pem"
    with patch.dict(os.environ, {"KALSHI_API_KEY_ID": key.key_id, "KALSHI_PRIVATE_KEY_FILE": str(path)}):
        yield


def registry_with_model(folder: Path, **trading: Any) -> Registry:
    """Registry whose challenger is a network that was never trained."""
    registry = Registry(folder)
    policy = made_policy()
    settings = EnvConfig(n_slots=2, groups=policy.spec.groups, **trading)
    record, files = made_record(policy, settings.model_dump(mode="json"))
    registry.add(record, files)
    registry.promote("challenger", record.id, reason="a test")
    return registry


def trade_until(wanted: AskedSession, seen: Seen) -> list[str]:
    """Trade until two snapshots in a row are ``seen``, then end as SIGTERM ends it; returns the lines told.

    Two: a fill on paper may be taken back while its burst goes on. ``wanted.minutes`` is the cap: a session
    that it ends fails the test.
    """
    said: list[str] = []
    shown: dict[str, Any] = {}
    is_asked = False

    def look(line: str) -> None:
        nonlocal shown, is_asked
        said.append(line)
        snapshot_file = wanted.out / ".session" / "snapshot.json"
        if not snapshot_file.exists():
            return  # told before the session runs
        snapshot = json.loads(snapshot_file.read_text())
        if is_asked or snapshot["now_ns"] == shown.get("now_ns"):
            return
        was, shown = bool(shown) and seen(shown), snapshot
        if was and seen(snapshot):
            is_asked = True
            signal.raise_signal(signal.SIGTERM)

    why = trade(wanted, look)
    counts = {name: shown.get(name) for name in ("frames", "decisions", "orders", "fills", "problems")}
    assert why == "SIGTERM", f"not seen in {wanted.minutes} minutes ({why}): {counts}, said {said[-3:]}"
    return said
