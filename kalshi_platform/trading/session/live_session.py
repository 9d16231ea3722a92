"""A trading session from its options to its end: key, model, exchange, recorder, account, session.

Paper     has a transport that cannot write; nothing else is made that could send an order.
Others    have an executor between actions and exchange (account_opening.py).
Ends      on Ctrl-C and SIGTERM, after ``minutes``, or on an error; whatever ended it, ``kalshi-platform trade
          report FOLDER`` reports what was recorded.
"""

import asyncio
import logging
import os
import signal
from contextlib import ExitStack
from typing import Final

import numpy as np

from kalshi_platform.domain.errors import ContractError, LimitError, StorageError
from kalshi_platform.storage.locks import writing
from kalshi_platform.trading.exchange.clock import SystemClock
from kalshi_platform.trading.exchange.public_calls import PublicCalls
from kalshi_platform.trading.exchange.rest import RestSettings, RestTransport
from kalshi_platform.trading.exchange.signing import RequestSigner, signer_from_environment
from kalshi_platform.trading.exchange.sink import FrameSink
from kalshi_platform.trading.exchange.stream_settings import ExchangeStreamSettings
from kalshi_platform.trading.exchange.websocket import ExchangeStream
from kalshi_platform.trading.recorder.alarms import Alarms, alert_addresses, apprise_sender
from kalshi_platform.trading.recorder.live import refuse_other_exchange
from kalshi_platform.trading.recorder.record import Recorder
from kalshi_platform.trading.recorder.settings import is_simulated
from kalshi_platform.trading.session.account_opening import account_of, ask_key
from kalshi_platform.trading.session.asked_session import AskedSession, Tell
from kalshi_platform.trading.session.at_exchange.exchange_book import ExchangeBook
from kalshi_platform.trading.session.at_exchange.exchange_switch import ExchangeSwitch
from kalshi_platform.trading.session.controls import AccountSwitch
from kalshi_platform.trading.session.decider import ModelDecider
from kalshi_platform.trading.session.late_session import LateSession
from kalshi_platform.trading.session.modes import (
    LiveMode,
    PaperMode,
    confirmation,
    refuse_model,
    refuse_unknown_variables,
)
from kalshi_platform.trading.session.paper.paper_book import PaperBook
from kalshi_platform.trading.session.paper.paper_switch import PaperSwitch
from kalshi_platform.trading.session.read_only import ReadOnlyTransport
from kalshi_platform.trading.session.rehearsal import rehearse
from kalshi_platform.trading.session.running import RunningSession
from kalshi_platform.trading.session.session_duties import run_session
from kalshi_platform.trading.session.watching.event_log import EventLog
from kalshi_platform.trading.session.watching.viewing import SESSION_PLACE

__all__ = ["PRIVATE_CHANNELS", "AskedSession", "trade"]

#: Channels besides those of a recorder: what happens to the account's own orders.
PRIVATE_CHANNELS: Final = ("fill", "user_orders")


def trade(asked: AskedSession, tell: Tell) -> str:
    """Trade until stopped; returns why it stopped. Errors say what was refused, before anything is sent."""
    refuse_unknown_variables()
    signer = signer_from_environment(os.environ)
    if signer is None:
        raise ContractError(
            "the exchange's stream needs a key: set KALSHI_API_KEY_ID and KALSHI_PRIVATE_KEY_FILE "
            "(a PEM file)"
        )
    decider = ModelDecider(asked.registry, asked.alias)
    try:
        refuse_model(asked.mode.kind, decider.served.key.model, decider.served.marks)
        if isinstance(asked.mode, LiveMode):
            _confirm(asked, signer.key_id)
        return _trade_in_folder(asked, signer, decider, tell)
    finally:
        decider.close()


def _confirm(asked: AskedSession, key_id: str) -> None:
    """LimitError unless a person types account and limits: nothing of it can be typed by habit."""
    words = confirmation(key_id, asked.limits.digest)
    if asked.confirm(words).strip() != words:
        raise LimitError(f"not confirmed: type exactly {words!r} to trade real money; nothing was sent")


def _trade_in_folder(asked: AskedSession, signer: RequestSigner, decider: ModelDecider, tell: Tell) -> str:
    """Hold the session's folder and trade; errors of the disk name the file that it did not take."""
    with ExitStack() as held:
        try:
            asked.out.mkdir(parents=True, exist_ok=True)
            held.enter_context(writing(asked.out, patience_s=5.0))
            refuse_other_exchange(asked.out, is_simulated(asked.mode.rest_url, asked.mode.stream_url))
        except OSError as err:
            words = f"{asked.out} cannot be used ({err.strerror}): give another --out"
            raise ContractError(words) from None
        try:
            return asyncio.run(_trade(asked, signer, decider, tell))
        except OSError as err:
            if err.filename is None:  # of a socket, say: no disk is to blame
                raise
            words = f"{err.filename}: {err.strerror}: make room, or give another --out"
            raise StorageError(words) from err


async def _trade(asked: AskedSession, signer: RequestSigner, decider: ModelDecider, tell: Tell) -> str:
    """Trade inside a running loop."""
    logging.getLogger("stamina").setLevel(logging.ERROR)
    clock, rng, late = SystemClock(), np.random.default_rng(), LateSession()
    loop, mode = asyncio.get_running_loop(), asked.mode
    is_paper = isinstance(mode, PaperMode)
    kind = ReadOnlyTransport if is_paper else RestTransport
    # From here on: the signal's own effect would end the process, now and while the report is written.
    loop.add_signal_handler(signal.SIGUSR1, late.halt, "signal SIGUSR1")
    try:
        await rehearse(decider.served, asked.config, None if is_paper else asked.limits)
        async with kind(RestSettings.parse({"url": mode.rest_url}), signer, clock, rng) as transport:
            problems = await ask_key(transport, mode.kind, signer.key_id)
            recorder = _recorder(asked, signer, transport, clock, rng)
            try:
                async with account_of(asked, transport, signer.key_id, recorder, decider, late) as account:
                    session = _session(asked, recorder, decider, account, signer.key_id)
                    session.core.problems.update(problems)
                    late.take(session)
                    tell(_first_line(asked, session, decider))
                    await run_session(asked, session, decider, tell)
            except BaseException:
                recorder.journal.close()  # closing twice is harmless; a session that never ran has no end
                if recorder.why_stopped is not None:
                    tell(f"what was recorded is reported by: kalshi-platform trade report {asked.out}")
                raise
            return recorder.why_stopped or "ended"
    finally:
        loop.remove_signal_handler(signal.SIGUSR1)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def _recorder(
    asked: AskedSession,
    signer: RequestSigner,
    transport: RestTransport,
    clock: SystemClock,
    rng: np.random.Generator,
) -> Recorder:
    """Recorder of the session's frames, with its alarms; it does not run yet."""
    mode = asked.mode
    private = () if isinstance(mode, PaperMode) else PRIVATE_CHANNELS
    settings = ExchangeStreamSettings.parse({
        "url": mode.stream_url, "global_channels": ("market_lifecycle_v2", *private),
    })  # fmt: skip

    def make_stream(sink: FrameSink) -> ExchangeStream:
        """Return the stream that fills ``sink``."""
        return ExchangeStream(settings, signer, sink, clock, rng)

    monotonic = asyncio.get_running_loop().time
    alarms = Alarms(apprise_sender(alert_addresses(asked.alerts)), monotonic, who="session")
    return Recorder(
        asked.out, asked.record, make_stream, PublicCalls(transport), clock, alarms,
        simulated=is_simulated(mode.rest_url, mode.stream_url),
    )  # fmt: skip


def _session(
    asked: AskedSession,
    recorder: Recorder,
    decider: ModelDecider,
    account: PaperBook | ExchangeBook,
    key_id: str,
) -> RunningSession:
    """Session around a recorder that does not run yet."""

    def make_switch(session: RunningSession) -> AccountSwitch:
        """Return the controls of the account."""
        if isinstance(account, PaperBook):
            return PaperSwitch(session.core, account, session.note)
        return ExchangeSwitch(account.executor, session.fail, account.end_old)

    log = EventLog(recorder.clock.wall_ns, asked.out / SESSION_PLACE / "log.jsonl", key_id)
    served = decider.served
    session = RunningSession(
        recorder, asked.config, asked.mode.kind, served.trading, served.window, served.key.model,
        served.marks, account, decider, make_switch, log,
    )  # fmt: skip
    session.core.model = served.key.model
    return session


def _first_line(asked: AskedSession, session: RunningSession, decider: ModelDecider) -> str:
    """Line that says what this session is, before anything else."""
    world = "simulated exchange" if session.recorder.simulated else "the exchange's own feed"
    cautions = "; ".join(decider.served.marks.cautions)
    words = f"mode {asked.mode.kind}, {world}, model {decider.served.key.model} (alias {asked.alias})"
    return f"{words}: {cautions}" if cautions else words
