"""Whole sessions at a simulated exchange: on paper and with orders, and what their reports say of them."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from made.session_ends import assert_rest_was_told
from made.trading_scene import (
    CAP_S,
    SERIES,
    ThreadedExchange,
    key_in_environment,
    own_variables_only,
    registry_with_model,
    trade_until,
)

from kalshi_platform.domain.errors import ContractError, LimitError
from kalshi_platform.domain.json_text import json_value
from kalshi_platform.trading.execution.risk.limits import RiskLimits
from kalshi_platform.trading.recorder import record
from kalshi_platform.trading.recorder.settings import RecordConfig
from kalshi_platform.trading.recorder.status import read_state
from kalshi_platform.trading.session.at_exchange.exchange_book import ExchangeBook
from kalshi_platform.trading.session.live_session import AskedSession, trade
from kalshi_platform.trading.session.modes import LiveMode, PaperMode, SimulatedMode
from kalshi_platform.trading.session.paper.paper_book import PaperBook
from kalshi_platform.trading.session.report.explaining import OPENING, UNEXPLAINED
from kalshi_platform.trading.session.report.session_replay import (
    differences_e6,
    noted_orders,
    replay_session,
    session_lines,
)
from kalshi_platform.trading.session.report.session_report import write_report
from kalshi_platform.trading.session.session_config import TradingSessionConfig

pytestmark = pytest.mark.usefixtures("outside_pause")

WIDE = RiskLimits.parse({
    "order_contracts": 100, "order_cost_usd": 100, "market_contracts": 1_000, "market_loss_usd": 1_000,
    "event_loss_usd": 2_000, "category_loss_usd": 5_000, "account_loss_usd": 9_000, "day_loss_usd": 5_000,
    "drawdown_usd": 5_000, "spread_usd": 1, "day_spend_usd": 100_000, "day_contracts": 100_000,
    "orders_per_second": 100, "orders_per_minute": 6_000, "losing_streak": 1_000, "price_distance_usd": 1,
})  # fmt: skip


@pytest.fixture(scope="module")
def exchange():
    with ThreadedExchange(speed=20, tier="prestige") as running:
        yield running


@pytest.fixture
def environment(monkeypatch, tmp_path):
    """An environment with our own variables only."""
    own_variables_only(monkeypatch, tmp_path)


def asked(exchange, tmp_path: Path, mode, style: str, *, hz: float = 10.0, **more):
    urls = {"rest_url": exchange.served.url, "stream_url": exchange.served.ws_url}
    return AskedSession(
        mode=mode.parse(urls), config=TradingSessionConfig(hz=hz, told_s=1.0),
        record=RecordConfig.parse({"wanted": {"series": SERIES}}), out=tmp_path / "session",
        registry=registry_with_model(tmp_path / "registry", order_style=style, **more),
        alias="challenger", minutes=CAP_S / 60, limits=WIDE,
    )  # fmt: skip


@pytest.mark.parametrize(("style", "hz"), [("maker", 10.0), ("taker", 0.0)])
def test_a_paper_session_is_its_own_replay(exchange, environment, tmp_path, style, hz):
    wanted = asked(exchange, tmp_path, PaperMode, style, hz=hz, decision_interval_ms=100)
    with key_in_environment("reader"):
        said = trade_until(wanted, lambda shown: shown["fills"] > 0 and shown["decisions"] > 10)
    assert said[0].startswith("mode paper, simulated exchange, model tiny-")
    made = write_report(wanted.out)
    report = made.report
    assert report.difference_e6 is not None
    assert set(report.difference_e6.values()) == {0}
    assert report.account["fills"] > 0
    assert report.account["forbidden"] == 0 or report.account["played_again"] > 0
    assert report.counters["decisions"] > 10
    money = sum(row["cash_e6"] for row in report.by_market.values())
    assert money == report.account["cash_e6"] - report.account["capital_e6"]
    page = made.html.read_text()
    assert "Simulated exchange, paper money, mode paper: n = " in page
    assert json.loads(made.json.read_text())["n_events"] == report.n_events
    snapshot = json.loads((wanted.out / ".session" / "snapshot.json").read_text())
    assert snapshot["pnl_e6"] == report.account["equity_e6"] - report.account["capital_e6"]


def test_the_replay_notices_a_changed_action(exchange, environment, tmp_path, monkeypatch):
    wanted = asked(exchange, tmp_path, PaperMode, "taker")
    with key_in_environment("reader"):
        trade_until(wanted, lambda shown: shown["fills"] > 0)
    from kalshi_platform.trading.session import session_notes

    monkeypatch.setattr(
        session_notes, "acts_of", lambda detail, n: {int(g): 0 * a for g, a in _acts(detail, n).items()}
    )
    assert differences_e6(replay_session(wanted.out))["cash_e6"] != 0


def _acts(detail, n_slots):
    import numpy as np

    return {g: np.array([int(d) for d in text], np.int8) for g, text in detail["acts"].items()}


@pytest.mark.parametrize("style", ["taker", "maker"])
def test_a_session_with_orders_has_the_cash_that_the_server_has(environment, tmp_path, monkeypatch, style):
    monkeypatch.setattr(record, "_ENDING_S", CAP_S)  # on a slow machine cancels and lists take longer
    here = rows_seen(monkeypatch, ExchangeBook)
    with ThreadedExchange(speed=1, tier="prestige", seed=5) as exchange:
        wanted = asked(exchange, tmp_path, SimulatedMode, style)
        with key_in_environment("ed25519"):
            trade_until(wanted, lambda shown: shown["orders"] > 3)
        account = exchange.server.venue.account
        cash_e6, resting = sum(sum(sub.cash_e6) for sub in account.subs), dict(account.by_core)
        taken = {order.client_order_id for order in account.orders.values()}
    there = rows_seen(monkeypatch, PaperBook)
    report = write_report(wanted.out).report
    assert report.ended is not None
    assert report.ended["cash_e6"] == cash_e6
    assert_rest_was_told(resting, report.ended["problems"])
    assert report.account["orders"] > 0
    assert report.comparison is not None
    assert sum(report.comparison.reasons.values()) == report.comparison.orders > 0
    assert report.fitted is not None
    sent = {told["client_id"]: told for told in noted_orders(wanted.out, report.run) if told["client_id"]}
    assert len(sent) == report.account["orders"]
    assert taken <= sent.keys()
    for told in (sent[client_id] for client_id in sent.keys() - taken):
        # It crossed by the time it arrived; where the answer did not come in time either, nobody told that.
        assert told["state"] == "unknown" or (style == "maker" and "post only cross" in told["words"]), told
    named = ids_in_frames(wanted.out, report.run)
    assert report.fitted.whole.median_ms.n_orders == len(taken & named)
    assert taken <= named or read_state(wanted.out).holes  # a hole swallows the only frame of an order
    assert here == there  # own orders were left out of both alike
    assert (report.own_orders.get("rows_of_ours", 0) > 0) == (style == "maker")
    saved = pq.read_table(wanted.out / "ledger.parquet").to_pylist()
    assert sum(row["cash_e6"] for row in saved) == report.ended["cash_e6"] - report.ended["capital_e6"]
    assert pa_csv.read_csv(wanted.out / "orders.csv").num_rows == report.comparison.orders


def ids_in_frames(out: Path, run: str) -> set[str]:
    """Client ids that the frames of a run name."""
    messages = [json_value(line["raw"])["msg"] for line in session_lines(out, run) if "raw" in line]
    return {msg["client_order_id"] for msg in messages if "client_order_id" in msg}


def holds_positions(shown) -> bool:
    """True where two markets have a position: an order on its way may still end one of them."""
    return sum(market["position_e2"] != 0 for market in shown["markets"]) > 1


@pytest.mark.parametrize("style", ["taker"])
def test_a_session_that_begins_with_positions_is_replayed_with_them(environment, tmp_path, style):
    """A first session leaves positions; the second one of the folder begins with them."""
    with ThreadedExchange(speed=1, tier="prestige", seed=5) as exchange:
        first = asked(exchange, tmp_path, SimulatedMode, "taker")
        wanted = replace(first, registry=registry_with_model(tmp_path / "second", order_style=style))
        with key_in_environment("ed25519"):
            before: dict[str, int] = {}
            while not before:  # a sale that was on its way may end the only position
                trade_until(first, holds_positions)
                before = positions_of(exchange)
            trade_until(wanted, lambda shown: shown["orders"] > 3)
        cash_e6 = sum(sum(sub.cash_e6) for sub in exchange.server.venue.account.subs)
        after = positions_of(exchange)
    assert before
    report = write_report(wanted.out).report
    opening, ended = report.opening, report.ended
    assert opening is not None
    assert ended is not None
    assert {m.ticker: m.position_e2 for m in opening.markets} == before
    assert opening.other_capital_e6 is None  # the session's own figures count from the same worth
    assert any(m.in_replay and m.has_book for m in opening.markets)
    saved = pq.read_table(wanted.out / "ledger.parquet").to_pylist()
    flow_e6 = sum(row["cash_e6"] for row in saved)
    assert flow_e6 == ended["cash_e6"] - opening.cash_e6 == cash_e6 - opening.cash_e6
    assert sum(row["fee_e6"] for row in saved) == ended["fees_e6"]
    held = dict(before)
    for row in saved:
        held[row["ticker"]] = row["position_e2"]
    assert {ticker: position_e2 for ticker, position_e2 in held.items() if position_e2} == after
    assert report.comparison is not None
    assert not report.comparison.reasons.keys() & {OPENING, UNEXPLAINED}
    lines = "\n".join(report.lines)
    assert f"the account began with {opening.cash_e6 / 1e6:.4f} $ in cash and {len(before)} position" in lines


def positions_of(exchange) -> dict[str, int]:
    """Positions of the account at the server that are not 0."""

    def read() -> dict[str, int]:
        held = exchange.server.venue.account.primary.positions
        return {ticker: each.position_e2 for ticker, each in held.items() if each.position_e2}

    return exchange.call(read)


def rows_seen(monkeypatch, account: type) -> list[tuple]:
    """Rows that an account of that kind sees from now on; those of the rehearsal before are long past."""
    seen: list[tuple] = []
    take, begun_ns = account.row, time.time_ns()

    def row(self, place, row, exch_ns):
        if account is PaperBook or row.recv_ns[0] >= begun_ns:
            seen.append((place, exch_ns, *(column[0].tolist() for column in row)))
        take(self, place, row, exch_ns)

    monkeypatch.setattr(account, "row", row)
    return seen


def test_paper_refuses_a_key_that_may_trade(exchange, environment, tmp_path):
    with key_in_environment("ed25519"), pytest.raises(ContractError, match="may only read"):
        trade(asked(exchange, tmp_path, PaperMode, "maker"), lambda line: None)


def test_live_refuses_a_model_of_simulated_data_before_it_connects(environment, tmp_path):
    registry = registry_with_model(tmp_path / "registry")
    wanted = AskedSession(
        mode=LiveMode.parse({"limits": tmp_path / "l.toml"}), config=TradingSessionConfig(),
        record=RecordConfig.parse({"wanted": {"series": SERIES}}), out=tmp_path / "session",
        registry=registry, alias="challenger",
    )  # fmt: skip
    with key_in_environment("ed25519"), pytest.raises(LimitError, match="passed no gate"):
        trade(wanted, lambda line: None)
    assert not (tmp_path / "session").exists()
