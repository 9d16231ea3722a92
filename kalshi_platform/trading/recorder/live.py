"""A recording of an exchange: key, client, folder or bucket, page and signals around one Recorder.

Ends   on Ctrl-C and SIGTERM, cleanly and within 10 s; a second signal changes nothing.
"""

import asyncio
import hashlib
import logging
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.places import expanded, home
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.storage.locks import writing
from kalshi_platform.storage.storage import Storage, open_storage
from kalshi_platform.trading.exchange.clock import SystemClock
from kalshi_platform.trading.exchange.public_calls import PublicCalls
from kalshi_platform.trading.exchange.rest import RestSettings, RestTransport
from kalshi_platform.trading.exchange.signing import RequestSigner, signer_from_environment
from kalshi_platform.trading.exchange.sink import FrameSink
from kalshi_platform.trading.exchange.stream_settings import ExchangeStreamSettings
from kalshi_platform.trading.exchange.websocket import ExchangeStream
from kalshi_platform.trading.pages.page_server import PageServer
from kalshi_platform.trading.recorder.alarms import Alarms, alert_addresses, apprise_sender
from kalshi_platform.trading.recorder.exchange_time import DatedSink, ExchangeTime, exchange_time, listen
from kalshi_platform.trading.recorder.page.view import RECORDER_PAGE, figures
from kalshi_platform.trading.recorder.record import Recorder
from kalshi_platform.trading.recorder.settings import RecordConfig, is_simulated

#: Reason of an end with the terminal.
TERMINAL_GONE: Final = "the terminal went away"
_BUCKET = "://"
#: Seconds that one operation waits for a bucket that is away, before the next look tries again.
_PATIENCE_S = 5.0
#: Seconds between two looks at whether the first connection was made.
_LOOK_S = 0.2


@dataclass(frozen=True)
class LiveRecording:
    """Recording that a user asked for."""

    config: RecordConfig
    out: str  # a folder, or s3://bucket/prefix
    spool: Path | None
    rest_url: str
    stream_url: str
    minutes: float | None
    page_port: int
    alerts: Path | None


def record_live(asked: LiveRecording, tell: Callable[[str], None]) -> str:
    """Record until stopped; returns why it stopped.

    ContractError for a key, an address or a folder that cannot be; errors of the recording as they come.
    """
    signer = signer_from_environment(os.environ)
    if signer is None:
        raise ContractError(
            "the exchange's stream needs a key: set KALSHI_API_KEY_ID and KALSHI_PRIVATE_KEY_FILE "
            "(a PEM file); a key with the scope read is enough"
        )
    folder, store = _places(asked)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise ContractError(
            f"{folder} cannot be made a folder ({err.strerror}): give another --out or --spool"
        ) from None
    with writing(folder, patience_s=5.0):
        refuse_other_exchange(folder, is_simulated(asked.rest_url, asked.stream_url))
        return asyncio.run(_record(asked, folder, store, signer, tell))


async def _record(
    asked: LiveRecording,
    folder: Path,
    store: Storage | None,
    signer: RequestSigner,
    tell: Callable[[str], None],
) -> str:
    """Record inside a running loop."""
    logging.getLogger("stamina").setLevel(logging.ERROR)  # a read that fails to the end is an alarm of ours
    clock, rng = SystemClock(), np.random.default_rng()
    loop = asyncio.get_running_loop()
    alarms = Alarms(apprise_sender(alert_addresses(asked.alerts)), loop.time)
    simulated = is_simulated(asked.rest_url, asked.stream_url)
    own_time = await exchange_time(asked.rest_url) if simulated else None
    stream_settings = ExchangeStreamSettings.parse({"url": asked.stream_url})

    def make_stream(sink: FrameSink) -> ExchangeStream:
        """Return the stream that fills ``sink``."""
        dated = sink if own_time is None else DatedSink(sink, own_time)
        return ExchangeStream(stream_settings, signer, dated, clock, rng)

    async with RestTransport(RestSettings.parse({"url": asked.rest_url}), signer, clock, rng) as transport:
        recorder = Recorder(
            folder, asked.config, make_stream, PublicCalls(transport), own_time or clock, alarms,
            simulated=simulated, store=store,
        )  # fmt: skip
        page = PageServer(RECORDER_PAGE, lambda: figures(recorder), asked.page_port)
        await page.start(folder / ".recorder" / "page.url")
        if simulated:
            tell("not the real exchange: every line is marked as simulated")
        if own_time is not None:
            tell(_told_time(own_time))
        tell(f"recording into {asked.out}, run {recorder.run_name}; page: {page.address}")
        helpers = [asyncio.create_task(_tell_first_failure(recorder, tell))]
        if own_time is not None:
            helpers.append(asyncio.create_task(listen(asked.rest_url, own_time)))
        try:
            await run_until_ended(recorder, asked.minutes)
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            await page.close()
        return recorder.why_stopped or "ended"


async def _tell_first_failure(recorder: Recorder, tell: Callable[[str], None]) -> None:
    """Say why the first connection cannot be made: whoever tries a new key is looking at the terminal."""
    while not recorder.sink.connected:
        if recorder.sink.why_unreachable is not None:
            tell(f"not connected: {recorder.sink.why_unreachable}; it is tried again until stopped")
            return
        await asyncio.sleep(_LOOK_S)


def _told_time(clock: ExchangeTime) -> str:
    """Sentence about an exchange whose time is not this machine's."""
    now = datetime.fromtimestamp(clock.wall_ns() // NS_PER_SECOND, UTC)
    return (
        f"its clock runs {clock.speed:g} times as fast as this machine's and shows "
        f"{now:%Y-%m-%d %H:%M:%S} UTC: receive times are by it"
    )


async def run_until_ended(recorder: Recorder, minutes: float | None) -> None:
    """Run a recorder until Ctrl-C, SIGTERM, the end of its terminal, its own end, or that of ``minutes``.

    With ``nohup`` the end of the terminal changes nothing. Else it is told more than once (SIGHUP): after the
    run it is not heard any more, or it would cut off what follows.
    """
    loop = asyncio.get_running_loop()
    reasons = {number: number.name for number in (signal.SIGINT, signal.SIGTERM)}
    if (hangup := signal.getsignal(signal.SIGHUP)) is not signal.SIG_IGN:
        reasons[signal.SIGHUP] = TERMINAL_GONE
    for number, why in reasons.items():
        loop.add_signal_handler(number, recorder.stop, why)
    if minutes is not None:
        loop.call_later(minutes * 60, recorder.stop, f"{minutes:g} minutes are over")
    try:
        await recorder.run()
    finally:
        for number in reasons:
            loop.remove_signal_handler(number)
        is_gone = recorder.why_stopped == TERMINAL_GONE
        signal.signal(signal.SIGHUP, signal.SIG_IGN if is_gone else hangup)


def refuse_other_exchange(folder: Path, simulated: bool) -> None:
    """Refuse to mix the real exchange and another one in a folder: their facts would meet in a dataset."""
    mark, kind = folder / ".recorder" / "exchange", "simulated" if simulated else "real"
    try:
        before = mark.read_text().strip()
    except FileNotFoundError:
        mark.parent.mkdir(exist_ok=True)
        mark.write_text(kind + "\n")
        return
    if before != kind:
        raise ContractError(
            f"{folder} holds a recording of an exchange that is {before!r}, and this one is {kind!r}: "
            "record into another --out"
        )


def _places(asked: LiveRecording) -> tuple[Path, Storage | None]:
    """(folder that is written here, where it is uploaded to or None)."""
    if not asked.out.strip():
        raise ContractError("--out is empty: name the folder or bucket of the recording")
    if _BUCKET not in asked.out:
        if asked.spool is not None:
            raise ContractError("--spool goes with a bucket as --out; a folder needs none")
        return expanded(asked.out), None
    name = hashlib.sha256(asked.out.encode()).hexdigest()[:12]
    folder = asked.spool or home() / "recorder" / name
    return expanded(folder), open_storage(asked.out, _PATIENCE_S)
