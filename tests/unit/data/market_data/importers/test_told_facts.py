"""Answers that a recorder kept with their time: facts hold from it on, hindsight stays out of features."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from kalshi_platform.data.market_data.importers.plan import discover
from kalshi_platform.data.market_data.importers.run import run_job
from kalshi_platform.data.market_data.importers.types import ImportedMarket
from kalshi_platform.data.market_data.schema import FACTS
from kalshi_platform.domain.units import parse_rfc3339

M = "KXDEMO-26DEC01-T50"
S = 1_000_000_000
T0 = 1_795_400_000 * S  # 2026-11-23T02:13:20Z
PLANNED, MOVED, REAL = "2026-12-01T05:00:00Z", "2026-12-02T05:00:00Z", "2026-11-23T02:15:00Z"


def market(close: str, **fields: Any) -> dict[str, Any]:
    return {
        "ticker": M, "event_ticker": "KXDEMO-26DEC01", "open_time": "2026-11-01T00:00:00Z",
        "close_time": close, "expected_expiration_time": PLANNED, "can_close_early": True, "result": "",
        "status": "active", "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}],
        **fields,
    }  # fmt: skip


def imported(folder: Path, answers: list[tuple[int, dict[str, Any]]]) -> ImportedMarket:
    """The market of a capture of 100 s, with REST's answers got at these seconds."""
    lines = []
    for second in range(0, 101, 10):
        msg: dict[str, Any] = {"market_ticker": M}
        kind = "orderbook_delta" if second else "orderbook_snapshot"
        msg |= {"price_dollars": "0.4100", "delta_fp": "1.00", "side": "yes"} if second else {}
        raw = json.dumps({"type": kind, "sid": 1, "seq": second // 10 + 1, "msg": msg})
        lines.append(json.dumps({"recv_ns": T0 + second * S, "conn": 1, "raw": raw}))
    folder.mkdir(exist_ok=True)
    (folder / "frames.jsonl").write_text("\n".join(lines) + "\n")
    told = [json.dumps({"known_ns": T0 + at * S, "market": answer}) for at, answer in answers]
    (folder / "facts.jsonl").write_text("\n".join(told) + "\n")
    (job,) = discover([folder]).jobs()
    (event,) = run_job(job)
    return event.markets[0]


def closes(found: ImportedMarket) -> list[tuple[int | None, int | None]]:
    """(second from which a close was known, close) of each step."""
    return [
        (None if step.known_ns is None else (step.known_ns - T0) // S, step.close_ns)
        for step in found.history.known
    ]


def test_a_close_that_moved_is_known_from_the_answer_that_told_it(tmp_path):
    found = imported(tmp_path, [(0, market(PLANNED)), (30, market(PLANNED)), (55, market(MOVED))])
    assert closes(found) == [(None, parse_rfc3339(PLANNED)), (55, parse_rfc3339(MOVED))]
    facts = found.rows.kind == FACTS
    assert found.rows.recv_ns[facts].tolist() == [T0 + 55 * S]
    assert found.rows.qty_e2[facts].tolist() == [1]


def test_the_planned_close_of_a_market_that_closed_early_stays_in_the_features_and_the_real_one_in_the_truth(
    tmp_path,
):
    settled = market(
        REAL, status="finalized", result="yes", settlement_value_dollars="1.0000", settlement_ts=REAL
    )
    found = imported(tmp_path, [(0, market(PLANNED)), (100, settled)])
    assert closes(found) == [(None, parse_rfc3339(PLANNED)), (100, parse_rfc3339(REAL))]
    assert found.history.close_ns == parse_rfc3339(REAL)
    assert found.settlement is not None
    assert found.settlement.value_e4 == 10_000


def test_an_answer_that_knew_the_outcome_from_the_start_is_hindsight_as_any_other(tmp_path):
    settled = market(REAL, status="finalized", result="yes", settlement_value_dollars="1.0000")
    assert closes(imported(tmp_path, [(100, settled)])) == [(None, None)]


def test_a_market_that_is_determined_anew_has_its_last_outcome(tmp_path):
    answers = [
        (at, market(PLANNED, result=result, settlement_value_dollars=value))
        for at, result, value in ((10, "yes", "1.0000"), (20, "no", "0.0000"))
    ]
    found = imported(tmp_path, [(0, market(PLANNED)), *answers])
    assert found.settlement is not None
    assert found.settlement.value_e4 == 0


def test_a_grid_that_an_answer_tells_holds_from_its_time_on(tmp_path):
    finer = [{"start": "0.0000", "end": "1.0000", "step": "0.0010"}]
    found = imported(tmp_path, [(0, market(PLANNED)), (45, market(PLANNED, price_ranges=finer))])
    assert [step.price_ranges[0].step_e4 for step in found.history.known] == [100, 10]
    assert Counter(found.rows.kind.tolist())[FACTS] == 1
