"""A recorder over real sockets, and beside it a live session that takes the same frames and answers."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np

from kalshi_platform.data.features.rows import Rows
from kalshi_platform.data.features.spec import FEATURE_SETS, TEMPORAL, columns
from kalshi_platform.data.market_data.capture import ConnectionEnd, Frame
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.serving.live.books import LiveBooks
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.trading.exchange.clock import SystemClock
from kalshi_platform.trading.exchange.public_calls import PublicCalls
from kalshi_platform.trading.exchange.rest import RestSettings, RestTransport
from kalshi_platform.trading.exchange.signing import RequestSigner, signer_from_file
from kalshi_platform.trading.exchange.sink import DISCONNECTED
from kalshi_platform.trading.exchange.stream_settings import ExchangeStreamSettings
from kalshi_platform.trading.exchange.websocket import ExchangeStream
from kalshi_platform.trading.recorder.alarms import Alarms
from kalshi_platform.trading.recorder.exchange_time import DatedSink, exchange_time, listen
from kalshi_platform.trading.recorder.record import Recorder
from kalshi_platform.trading.recorder.segments.journal import Taken
from kalshi_platform.trading.recorder.settings import RecordConfig
from kalshi_platform.trading.simserver.config import ServerConfig
from kalshi_platform.trading.simserver.server import Server
from made.live_capture import Seen
from made.sim_server import demo_keys

WINDOW = 12
#: Time of the exchange in which everything happens that a script waits for, many times over.
_ENOUGH_NS = 8 * 3_600 * NS_PER_SECOND
SERIES = ("WORLDONE", "WORLDTOP", "WORLDBKT")


class LiveRow(NamedTuple):
    """One feature row as a live session had it, and the terms of trade that it held then."""

    row: Rows
    terms: np.ndarray


class LiveSession(LiveBooks):
    """Live books that keep every row, and what each group shows at each moment."""

    #: Columns of a live row that a bank keeps: those of every feature set, and those of history windows.
    columns = np.array(columns([g for g in FEATURE_SETS if g != "portfolio"])), np.array(TEMPORAL)

    def __init__(self, config: EnvConfig) -> None:
        self.rows: dict[str, list[LiveRow]] = {}
        self.seen: list[Seen] = []
        self.refused: list[str] = []
        self.n_frames = 0
        self.outcomes_heard: dict[str, int] = {}  # market -> known_ns
        self.fees_heard: dict[str, int] = {}  # event -> when a change of its fees was heard first
        super().__init__(config, WINDOW, hears_rest=True, use_yes_price=True)

    def take(self, taken: Taken) -> None:
        """Take a frame that the recorder took."""
        self.n_frames += 1
        for touched in self.hear(taken.recv_ns):
            self._look(touched)
        try:
            message = taken.message if isinstance(taken.message, dict) else {}
            touched = self.feed(Frame(self.n_frames, taken.recv_ns, taken.conn, taken.raw.decode()), message)
            if message.get("type") == "event_fee_update":
                self.fees_heard.setdefault(message["msg"]["event_ticker"], taken.recv_ns)
        except DataError as err:
            self.refused.append(str(err))
            touched = list(range(len(self.groups)))
        self._look(touched)

    def end(self, end: ConnectionEnd) -> None:
        """Take the recorder's note that a connection ended."""
        for touched in self.hear(end.recv_ns):
            self._look(touched)
        self._look(self.end_connection(end))

    def answer(self, document: Mapping[str, Any]) -> None:
        """Take an answer that the recorder kept."""
        self.tell(json.loads(json.dumps(document)))
        for change in document.get("event_fee_changes", ()):
            self.fees_heard.setdefault(change["event_ticker"], document["known_ns"])
        for ticker, record in self._rest.records.items():
            if record.settlement is not None:
                self.outcomes_heard.setdefault(ticker, document["known_ns"])

    def _look(self, touched: Sequence[int]) -> None:
        for g in touched:
            batch = self.groups[g].observe(self.now_ns)
            self.seen[g][self.now_ns] = batch.flat[0], batch.windows[0]

    def _add_group(self, named: Sequence[str]) -> None:
        super()._add_group(named)
        number, group = len(self.groups) - 1, self.groups[-1]
        self.seen.append({})
        put = group.put

        def watched(s: int, row: Rows) -> bool:
            kept = Rows(*(column.copy() for column in row))
            terms = group.bank.terms[s : s + 1].copy()[0]
            self.rows.setdefault(self.tickers[number][s], []).append(LiveRow(kept, terms))
            return put(s, row)

        group.put = watched  # type: ignore[method-assign]


def beside(recorder: Recorder, session: LiveSession) -> None:
    """Let ``session`` take whatever ``recorder`` takes, at once."""
    take, note, tell = recorder.journal.frame, recorder.journal.note, recorder.facts.tell

    def frame(*given: Any) -> Taken | None:
        taken = take(*given)
        if taken is not None:
            session.take(taken)
        return taken

    def noted(conn: int, recv_ns: int, mono_ns: int, kind: str, detail: Mapping[str, Any]) -> tuple[int, int]:
        written_ns, written_conn = note(conn, recv_ns, mono_ns, kind, detail)
        if kind == DISCONNECTED:
            session.end(ConnectionEnd(written_conn, written_ns, session.n_frames))
        return written_ns, written_conn

    def fact(known_ns: int, kind: str, ticker: str, answer: Any) -> bool:
        is_news = tell(known_ns, kind, ticker, answer)
        if is_news:
            session.answer({"known_ns": known_ns, kind: answer})
        return is_news

    recorder.journal.frame, recorder.journal.note = frame, noted  # type: ignore[method-assign]
    recorder.facts.tell = fact  # type: ignore[method-assign]


class Scene(NamedTuple):
    """A running exchange, its recorder, and the door for faults."""

    server: Server
    recorder: Recorder
    admin: httpx.AsyncClient

    async def plant(self, kind: str, **fault: Any) -> None:
        answer = await self.admin.post("/admin/faults", json={"kind": kind, **fault})
        assert answer.status_code == 200, answer.text

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition; by the exchange's clock, which slips where the machine cannot keep up."""
        clock = self.server.venue.clock
        end_ns = clock.now_ns + _ENOUGH_NS
        while not condition():
            assert self.recorder.why_stopped is None, self.recorder.why_stopped
            assert clock.now_ns < end_ns, "it has not happened in hours of the exchange"
            await asyncio.sleep(0.02)


def record_served(
    out: Path,
    script: Callable[[Scene], Awaitable[None]],
    session: LiveSession | None = None,
    settings: Mapping[str, Any] = {},
    **served_by: Any,
) -> Counter[str]:
    """Record a served exchange into ``out`` while ``script`` runs; returns the notes of the run by kind."""

    async def run() -> Counter[str]:
        server = Server(ServerConfig.parse({"tier": "prestige", **served_by}), demo_keys())
        signer = _signer()
        clock, rng = SystemClock(), np.random.default_rng(0)
        async with server.serving("127.0.0.1", 0) as served:
            own = await exchange_time(served.url)
            stream_settings = ExchangeStreamSettings.parse({"url": served.ws_url})
            headers = {"Authorization": f"Bearer {served.admin_token}"}
            base = served.admin_url.removesuffix("/admin")
            async with (
                RestTransport(RestSettings.parse({"url": served.url}), signer, clock, rng) as transport,
                httpx.AsyncClient(base_url=base, headers=headers, timeout=None) as admin,
            ):
                recorder = Recorder(
                    out,
                    RecordConfig.parse({"wanted": {"series": SERIES}, "world": "calibrated", **settings}),
                    lambda sink: ExchangeStream(
                        stream_settings, signer, sink if own is None else DatedSink(sink, own), clock, rng
                    ),
                    PublicCalls(transport), own or clock, Alarms(_silent, asyncio.get_running_loop().time),
                    simulated=True,
                )  # fmt: skip
                if session is not None:
                    beside(recorder, session)
                work = asyncio.create_task(recorder.run())
                listening = [] if own is None else [asyncio.create_task(listen(served.url, own))]
                try:
                    await script(Scene(server, recorder, admin))
                finally:
                    recorder.stop("the script ended")
                    for task in listening:
                        task.cancel()
                    await asyncio.gather(*listening, return_exceptions=True)
                    await work
        return recorder.follower.kinds

    return asyncio.run(run())


async def _silent(title: str, body: str) -> None:
    """Send no alert."""


def _signer() -> RequestSigner:
    """Signer by a demo key."""
    keys = json.loads((demo_keys() / "keys.json").read_text())
    key_id = next(k["key_id"] for k in keys if k["name"] == "ed25519")
    return signer_from_file(key_id, demo_keys() / "ed25519.pem")
