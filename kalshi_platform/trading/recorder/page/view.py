"""Figures of a running recorder as plain JSON values: the page, ``status.json`` and tests read them."""

from typing import TYPE_CHECKING, Any, Final

from kalshi_platform.trading.pages.page_server import PageKind
from kalshi_platform.trading.recorder.follow.coverage import market_row, total_share

if TYPE_CHECKING:
    from kalshi_platform.trading.recorder.record import Recorder

RECORDER_PAGE: Final = PageKind("kalshi_platform.trading.recorder.page", "recorder_token", "recorder")
_SHOWN_NOTES, _SHOWN_SECONDS = 30, 600
#: Connections are numbered on through all runs of a folder (``record.py``); on the page within a run.
_CONNS_A_RUN: Final = 1_000
#: Markets on the page; all are in ``record status``.
_SHOWN_MARKETS: Final = 200


def figures(recorder: "Recorder") -> dict[str, Any]:
    """Everything the page shows."""
    now_ns = recorder.clock.wall_ns()
    markets = recorder.follower.coverage.markets(now_ns)
    worst = sorted(markets, key=lambda m: (m.share, m.ticker))[:_SHOWN_MARKETS]
    counts, meters, checks = recorder.journal.counts, recorder.meters, recorder.checks
    return {
        "now_ns": now_ns,
        "run": recorder.run_name,
        "out": str(recorder.out),
        "simulated": recorder.simulated,
        "speed": getattr(recorder.clock, "speed", 1.0),
        "connections": len(recorder.sink.connected),
        "frames": counts.frames,
        "frames_acknowledged": counts.frames_acknowledged,
        "frames_lost_to_disk": counts.frames_overflowed,
        "rate_1s": meters.rate(1),
        "rate_60s": round(meters.rate(60), 1),
        "age_p50_ms": _rounded(meters.age_ms(0.5)),
        "age_p99_ms": _rounded(meters.age_ms(0.99)),
        "age_growth_ms": _rounded(meters.growth_ms()),
        "sync_ms": round(counts.sync_s * 1e3, 1),
        "packed_bytes": counts.packed_bytes,
        "text_bytes": counts.text_bytes,
        "holes": recorder.follower.holes,
        "sequence_gaps": recorder.follower.counters["sequence_gaps"],
        "unreadable_frames": recorder.follower.counters["refused_frames"]
        + recorder.follower.counters["frames_not_json_objects"],
        "coverage": round(total_share(markets), 6),
        "markets": len(recorder.directory.markets),
        "proven_now": sum(m.is_proven and m.is_wanted for m in markets),
        "coverage_markets": [market_row(m) for m in worst],
        "checks": checks.checks,
        "mismatches": checks.mismatches,
        "drifts": checks.drifts,
        "match_rate": checks.match_rate,
        "backfilled_trades": recorder.backfill.trades,
        "backfill_open": len(recorder.backfill.open),
        "candles_open": len(recorder.backfill.open_candles),
        "outcomes": len(recorder.directory.outcomes),
        "problems": dict(recorder.directory.problems),
        "disk_free_bytes": recorder.disk.free_bytes,
        "backlog": None if recorder.upload is None else recorder.upload.backlog._asdict(),
        "alarms": [{"name": a.name, "text": a.text} for a in recorder.alarms.standing.values()],
        "alerts_failed": recorder.alarms.failures,
        "hole_rows": [
            {**row.as_json(), "conn": row.conn % _CONNS_A_RUN}
            for row in list(recorder.follower.hole_rows)[-_SHOWN_NOTES:]
        ],
        "notes": [
            {
                "recv_ns": row.recv_ns,
                "conn": row.conn % _CONNS_A_RUN,
                "kind": row.kind,
                "is_hole": row.is_hole,
            }
            for row in list(recorder.follower.notes)[-_SHOWN_NOTES:]
        ],
        "seconds": [
            [s.at_s, s.frames, _rounded(s.age_p50_ms), _rounded(s.age_p99_ms)]
            for s in list(meters.seconds)[-_SHOWN_SECONDS:]
        ],
    }


def _rounded(value: float | None) -> float | None:
    """Value to a tenth; None stays."""
    return None if value is None else round(value, 1)
