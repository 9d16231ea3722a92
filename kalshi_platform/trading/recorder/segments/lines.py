"""Lines of a segment: frames exactly as received, and notes about what happened between them.

Frame   ``{"recv_ns", "mono_ns", "conn", "sid", "seq", "raw"}``: sid and seq where the frame has them; with
        ``"provenance": "simulated"`` and its world where the exchange is no real one; with ``wall_ns`` while
        this machine's clock stands behind the times already written (``written_clock.py``)
Note    ``{"recv_ns", "mono_ns", "conn", "note": kind, "detail": {...}}``; of a subscription to the book
        channel also ``"use_yes_price"``, by which importers know the scale of NO prices
Kinds   those of ``trading/exchange/sink.py`` and the recorder's own, below
"""

import base64
from collections.abc import Mapping
from typing import Any, Final

from pydantic_core import from_json, to_json

from kalshi_platform.data.market_data.capture import SIMULATED_MARK
from kalshi_platform.trading.exchange.sink import SUBSCRIBED

#: A run of the recorder began. detail: run, since_ns (last time an earlier run acknowledged; absent for the
#: first run), clean (bool: the earlier run said run_stopped), torn_bytes (cut off its last segment),
#: damaged_bytes (changed on the disk inside it; a note ``damaged`` each).
RUN_STARTED: Final = "run_started"
#: The recorder stopped on purpose. detail: why (str).
RUN_STOPPED: Final = "run_stopped"
#: This machine's wall clock jumped. detail: step_ns (int, + = forward).
CLOCK_STEP: Final = "clock_step"
#: Frames arrived and were thrown away because the disk was too slow. detail as of the stream's ``overflow``.
DISK_OVERFLOW: Final = "disk_overflow"
#: Bytes of a segment changed on the disk before it was sealed: acknowledged lines are lost here. detail:
#: bytes, lines (int, None where unknown), since_ns (last line before; None: the segment's begin), until_ns
#: (first line after), kept (name of the file in frames/ that holds the bytes).
DAMAGED: Final = "damaged"
#: A frame that is no UTF-8 text. detail: base64 (str), its bytes.
NOT_TEXT: Final = "not_text"
#: The exchange's REST answers say that trading or the whole exchange is paused, or that it goes on.
#: detail: exchange_active (bool), trading_active (bool).
PAUSE: Final = "pause"
#: The stream and a REST book disagree. detail: ticker, stream, rest, age_ns, drift (bool: twice in a row),
#: agreed_ns (recv_ns up to which both are known to have agreed; None: never yet).
MISMATCH: Final = "mismatch"
#: Share of time with a proven book so far. detail: markets, proven_share.
COVERAGE: Final = "coverage"

_MARK: Final = f",{SIMULATED_MARK}".encode()


def frame_line(
    recv_ns: int, mono_ns: int, conn: int, raw: bytes, message: Any, world: str | None, wall_ns: int | None
) -> bytes:
    """Line of one frame, with its newline; ``message`` is the parsed frame, or anything where it is none.

    ``world``: name of the simulated world (``domain/worlds.py``), None for the real exchange;
    ``wall_ns``: this machine's clock where it differs from ``recv_ns``. A frame that is no text becomes a
    note.
    """
    try:
        text = to_json(raw.decode())
    except UnicodeDecodeError:
        detail = {"base64": base64.b64encode(raw).decode()}
        return note_line(recv_ns, mono_ns, conn, NOT_TEXT, detail)
    more = b""
    if isinstance(message, dict):
        sid, seq = message.get("sid"), message.get("seq")
        if type(sid) is int:
            more = b',"sid":%d' % sid
        if type(seq) is int:
            more += b',"seq":%d' % seq
    if wall_ns is not None:
        more += b',"wall_ns":%d' % wall_ns
    if world is not None:
        more += b'%b,"world":"%b"' % (_MARK, world.encode())
    return b'{"recv_ns":%d,"mono_ns":%d,"conn":%d%b,"raw":%b}\n' % (recv_ns, mono_ns, conn, more, text)


def note_line(recv_ns: int, mono_ns: int, conn: int, kind: str, detail: Mapping[str, object]) -> bytes:
    """Line of one note, with its newline."""
    line: dict[str, object] = {"recv_ns": recv_ns, "mono_ns": mono_ns, "conn": conn, "note": kind}
    params = detail.get("params")
    if kind == SUBSCRIBED and isinstance(params, Mapping) and detail.get("channel") == "orderbook_delta":
        scale = params.get("use_yes_price")
        if isinstance(scale, bool):
            line["use_yes_price"] = scale
    line["detail"] = dict(detail)
    return to_json(line, inf_nan_mode="null") + b"\n"


def parsed(raw: bytes) -> Any:
    """JSON value of a frame; None where it is none."""
    try:
        return from_json(raw)
    except ValueError:
        return None
