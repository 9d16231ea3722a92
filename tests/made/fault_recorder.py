"""A recorder in a process of its own, as ``kalshi-platform record`` runs it, whose machine a test can spoil.

Run    python -m made.fault_recorder FOLDER ADDRESSES SETTINGS    (the last two: JSON)
       ADDRESSES  url and ws_url; key_id and key_file
       SETTINGS   record, stream, rest: settings of these names; store: a bucket's address or absent;
                  fsync_s: seconds that every fsync takes more
Tells  on stdout JSON lines: ``{"ack": frames}`` whenever more frames of this run are acknowledged,
       ``{"figures": ...}`` when asked, ``{"shift_ns": ...}`` when the clock runs as fast as the machine's
       again, and ``{"ended": why}`` at the end.
Hears  on stdin JSON lines: ``{"do": "stop"}``, ``"figures"``, ``{"do": "clock", "step_s": ...}`` (the wall
       clock is set), ``{"do": "speed", "x": ...}`` (both clocks run x times as fast),
       ``{"do": "fsync", "s": ...}``, ``{"do": "names", "known": bool}`` (the resolver), ``{"do": "skip",
       "s": ...}`` (the present or next wait of exactly so long is over at once, whatever the machine's pace).
Names  ``exchange.test`` is this machine, while the resolver knows it.
"""

import asyncio
import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from kalshi_platform.domain.errors import PlatformError
from kalshi_platform.storage.locks import writing
from kalshi_platform.storage.storage import open_storage
from kalshi_platform.trading.exchange.public_calls import PublicCalls
from kalshi_platform.trading.exchange.rest import RestSettings, RestTransport
from kalshi_platform.trading.exchange.signing import signer_from_file
from kalshi_platform.trading.exchange.sink import FrameSink
from kalshi_platform.trading.exchange.stream_settings import ExchangeStreamSettings
from kalshi_platform.trading.exchange.websocket import ExchangeStream
from kalshi_platform.trading.recorder.alarms import Alarms
from kalshi_platform.trading.recorder.page.view import figures
from kalshi_platform.trading.recorder.record import Recorder
from kalshi_platform.trading.recorder.segments import segment as segment_module
from kalshi_platform.trading.recorder.settings import RecordConfig
from made.witness_exchange import hear

NAME = "exchange.test"


class SpoiltClock:
    """The machine's clocks, set and sped up by a test."""

    def __init__(self) -> None:
        self.step_ns = 0
        self.speed = 1.0
        self.skip_s: float | None = None  # the next wait of this length is over at once
        self._real_ns = time.monotonic_ns()
        self._mono_ns = self._real_ns

    def mono_ns(self) -> int:
        return self._mono_ns + round((time.monotonic_ns() - self._real_ns) * self.speed)

    def wall_ns(self) -> int:
        return time.time_ns() + self.shift_ns + self.step_ns

    @property
    def shift_ns(self) -> int:
        """Time by which the monotonic clock is ahead of the machine's."""
        return self.mono_ns() - time.monotonic_ns()

    def set_speed(self, speed: float) -> None:
        self._mono_ns, self._real_ns, self.speed = self.mono_ns(), time.monotonic_ns(), speed

    async def sleep(self, seconds: float) -> None:
        due_ns = self.mono_ns() + round(max(seconds, 0.0) * 1e9)
        while True:
            left_s = (due_ns - self.mono_ns()) / 1e9 / self.speed
            await asyncio.sleep(min(max(left_s, 0.0), 0.05) if seconds > 0 else 0)
            if seconds == self.skip_s:
                self.skip_s = None
                return
            if self.mono_ns() >= due_ns:
                return


class Resolver:
    """Names of this process: NAME is loopback, or unknown."""

    def __init__(self) -> None:
        self.known, self.asked = True, 0
        self._real = socket.getaddrinfo
        socket.getaddrinfo = self.look_up  # type: ignore[assignment]

    def look_up(self, host: Any, *args: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name != NAME:
            return self._real(host, *args, **options)
        self.asked += 1
        if not self.known:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return self._real("127.0.0.1", *args, **options)


class SlowDisk:
    """Every fsync of a segment takes ``seconds`` longer."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._real = os.fsync
        segment_module.os.fsync = self.sync

    def sync(self, handle: int) -> None:
        if self.seconds:
            time.sleep(self.seconds)
        self._real(handle)


def tell(**what: Any) -> None:
    """Tell one JSON line."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


async def record(out: Path, addresses: dict[str, str], settings: dict[str, Any]) -> None:
    """Record until stopped."""
    clock, rng, resolver = SpoiltClock(), np.random.default_rng(7), Resolver()
    disk = SlowDisk(settings.get("fsync_s", 0.0))
    signer = signer_from_file(addresses["key_id"], Path(addresses["key_file"]))
    stream_settings = ExchangeStreamSettings.parse({"url": addresses["ws_url"], **settings.get("stream", {})})

    def make_stream(sink: FrameSink) -> ExchangeStream:
        return ExchangeStream(stream_settings, signer, sink, clock, rng)

    rest = RestSettings.parse({"url": addresses["url"], **settings.get("rest", {})})
    store = open_storage(settings["store"], 0.5) if "store" in settings else None
    loop = asyncio.get_running_loop()
    async with RestTransport(rest, signer, clock, rng) as transport:
        recorder = Recorder(
            out, RecordConfig.parse(settings["record"]), make_stream, PublicCalls(transport), clock,
            Alarms(None, loop.time), simulated=True, store=store,
        )  # fmt: skip

        def act(command: dict[str, Any]) -> None:
            what = command["do"]
            if what == "stop":
                recorder.stop("asked")
            elif what == "figures":
                told = sorted(recorder.alarms.standing)
                tell(figures={
                    **figures(recorder), "standing": told, "names_asked": resolver.asked,
                    "conns": [conn % 1_000 for conn in recorder.sink.connected],  # as in its hole_rows
                })  # fmt: skip
            elif what == "clock":
                clock.step_ns += round(command["step_s"] * 1e9)
            elif what == "speed":
                clock.set_speed(command["x"])
                if command["x"] == 1:
                    tell(shift_ns=clock.shift_ns)
            elif what == "skip":
                clock.skip_s = command["s"]
            elif what == "fsync":
                disk.seconds = command["s"]
            else:
                assert what == "names", what
                resolver.known = command["known"]

        hear(loop, act)
        counts = recorder.journal.counts

        async def tell_acknowledged() -> None:
            told = 0
            while True:
                if counts.frames_acknowledged != told:
                    told = counts.frames_acknowledged
                    tell(ack=told)
                await asyncio.sleep(0.01)

        telling = asyncio.create_task(tell_acknowledged())
        try:
            await recorder.run()
        finally:
            telling.cancel()
            tell(ack=counts.frames_acknowledged)
        tell(ended=recorder.why_stopped)


def main(out: Path, addresses: dict[str, str], settings: dict[str, Any]) -> None:
    """Record into ``out``; exits with 3 and the error's words where the recording ended badly."""
    out.mkdir(parents=True, exist_ok=True)
    try:
        with writing(out, patience_s=5.0):
            asyncio.run(record(out, addresses, settings))
    except (PlatformError, OSError) as err:
        tell(ended=f"{type(err).__name__}: {err}")
        sys.exit(3)


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3]))
