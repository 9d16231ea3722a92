"""Report of a session, made from its recording alone: the session played again, and what differs.

Paper      the replay has the session's account, and the difference is told to 1e-6 dollar.
Exchange   every order beside what the environment's matcher made of the same action on the same frames.
Result     of an account at an exchange counts from what its opening was worth (``opening_figures.py``).
First      line: simulated or not, and n of independent events. Few events show nothing, whatever they earned.
Units      as in the field names; times ns UTC.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pydantic import Field

from kalshi_platform.domain.commit import Stamp
from kalshi_platform.domain.config import Config
from kalshi_platform.domain.units import DOLLAR_E6, NS_PER_MS, NS_PER_SECOND
from kalshi_platform.evaluation.pages.head import PageHead
from kalshi_platform.evaluation.pages.page import render, write_html_and_json
from kalshi_platform.trading.session.ledger import LedgerRow, sums_by, write_ledger
from kalshi_platform.trading.session.report.comparison import compare_orders
from kalshi_platform.trading.session.report.explaining import HELD_BACK, SAME, UNEXPLAINED
from kalshi_platform.trading.session.report.fitting import LEAST_EVENTS, FittedExecution, fit_execution
from kalshi_platform.trading.session.report.opening_figures import OpeningFigures, opening_of
from kalshi_platform.trading.session.report.order_pairs import OrderPair
from kalshi_platform.trading.session.report.page_words import in_words
from kalshi_platform.trading.session.report.pair_figures import PairFigures, figures_of, write_orders
from kalshi_platform.trading.session.report.realised_ledger import realised_rows
from kalshi_platform.trading.session.report.session_replay import (
    ReplayedSession,
    differences_e6,
    replay_session,
)
from kalshi_platform.trading.session.result import result_e6
from kalshi_platform.trading.session.session_notes import CONTROL_END

_SHOWN: Final = 200
#: Counts of the replay's account that the page shows.
_ACCOUNT_COUNTS: Final = ("forbidden", "played_again", "bursts_assumed")


class ReportedControl(Config):
    """One control: of a person, a file, a signal or a limit; ``end``: the session began to end."""

    seconds: float = Field(description="since the session began")
    control: str
    state: str = Field(description="state of trading after it; over: the session decides no more")
    why: str


class SessionReport(Config):
    """Figures of one session."""

    run: str
    mode: str
    is_simulated: bool
    n_events: int = Field(description="events with a fill: the independent observations")
    model: str
    began_ns: int
    seconds: float
    ended: dict[str, Any] | None = Field(description="account as the session had it; None: it was killed")
    replay: dict[str, Any] = Field(description="account as the replay of its recording has it")
    difference_e6: dict[str, int] | None = Field(description="replay minus session, of a paper session")
    counters: dict[str, int]
    by_market: dict[str, dict[str, Any]]
    by_event: dict[str, dict[str, Any]]
    by_day: dict[str, dict[str, Any]]
    opening: OpeningFigures | None = Field(description="what the account began with; None on paper: flat")
    comparison: PairFigures | None = Field(description="live minus replay; None of a paper session")
    fitted: FittedExecution | None = Field(description="latency and queue as realised; None on paper")
    controls: tuple[ReportedControl, ...] = Field(description="what acted on trading, in order of time")
    own_orders: dict[str, int] = Field(description="how own orders were told apart in the books")
    latency: dict[str, Any] | None

    @property
    def is_equal(self) -> bool:
        """True for a paper session whose replay has the same account."""
        return self.difference_e6 is not None and not any(self.difference_e6.values())

    @property
    def first_line(self) -> str:
        """Line that says what the figures are worth."""
        world = "Simulated exchange" if self.is_simulated else "The exchange's own feed"
        money = "paper money" if self.mode == "paper" else "orders at the exchange"
        few = "" if self.n_events >= LEAST_EVENTS else f"; fewer than {LEAST_EVENTS} show nothing"
        return f"{world}, {money}, mode {self.mode}: n = {self.n_events} independent events with a fill{few}"

    @property
    def account(self) -> dict[str, Any]:
        """Account of the session: its own, or the replay's where the session was killed."""
        return self.ended if self.ended is not None and "equity_e6" in self.ended else self.replay

    @property
    def pnl_e6(self) -> int:
        """Result of the session."""
        return result_e6(self.account)

    @property
    def lines(self) -> list[str]:
        """Lines for a terminal."""
        money = self.account
        pnl = self.pnl_e6 / DOLLAR_E6
        found = [
            self.first_line,
            f"P&L {pnl:+.4f} $, fees {money['fees_e6'] / DOLLAR_E6:.4f} $, {money['fills']} fills of "
            f"{money['orders']} orders in {self.seconds:.0f} s, model {self.model}",
        ]
        if paid_in_e6 := self.account.get("paid_in_e6", 0):
            found.append(
                f"{paid_in_e6 / DOLLAR_E6:+.4f} $ that no order explains, such as a payment in or out: "
                "not in the P&L"
            )
        if self.difference_e6 is not None:
            worst = max(map(abs, self.difference_e6.values()))
            found.append(
                "the replay of its recording has the same account, to 1e-6 $"
                if worst == 0
                else f"the replay of its recording differs by up to {worst / DOLLAR_E6:.6f} $"
            )
        elif self.ended is None:
            found.append("the session was killed: its account is that of the replay")
        if self.opening is not None:
            found += self.opening.lines(self.account is self.ended)
        if self.comparison is not None:
            found.append(self.comparison.words)
        found += [f"{what}: {why}" for what, why in (self.ended or {}).get("problems", {}).items()]
        return found


@dataclass(frozen=True)
class MadeReport:
    """Report and its files."""

    report: SessionReport
    html: Path
    json: Path
    ledger: tuple[Path, Path]


def write_report(folder: Path, run: str | None = None) -> MadeReport:
    """Play the last session of ``folder`` again and write ``report.html``, ``report.json`` and the ledger."""
    played = replay_session(folder, run)
    replayed = played.book.ledger()
    is_paper = played.began["mode"] == "paper"
    rows = replayed if is_paper else realised_rows(played)
    pairs = [] if is_paper else [(played.book.event_of(p.ticker), p) for p in compare_orders(played)]
    report = _report(played, rows, pairs)
    ledger = write_ledger(rows, folder)
    if not is_paper:
        write_orders(pairs, folder)
    head = PageHead(
        kind="Session", name=played.run,
        data="simulated" if report.is_simulated else "the exchange's own feed",
        facts={"mode": report.mode, "model": report.model}, made=Stamp.now(),
    )  # fmt: skip
    html = render(
        "kalshi_platform.trading.session.report", "session.html.j2", head, report=report,
        rows=[_shown(row) for row in rows[-_SHOWN:]], n_rows=len(rows),
        pairs=[pair.as_row() for pair in _most_telling(pairs)], n_pairs=len(pairs),
        own_orders=in_words(report.own_orders), counts=in_words(_counts(report)),
    )  # fmt: skip
    page, json = write_html_and_json(folder / "report.html", html, report)
    return MadeReport(report, page, json, ledger)


def _most_telling(pairs: list[tuple[str, OrderPair]]) -> list[OrderPair]:
    """Orders for the page: of those that differ the unexplained, then the causes, then those that differ
    in cash."""
    found = [pair for _, pair in pairs if pair.why not in (SAME, HELD_BACK)]
    found.sort(key=lambda pair: (pair.why != UNEXPLAINED, not pair.is_cause, not pair.differs))
    return sorted(found[:_SHOWN], key=lambda pair: pair.sent_ns)


def _fitted(played: ReplayedSession) -> FittedExecution:
    """Latency and queue of the session's own orders."""
    sent = {str(told["client_id"]) for told in played.orders}
    orders = [(played.book.event_of(o.ticker), o) for o in played.realised.by_id.values()]
    trading = played.core.trading
    return fit_execution(
        [each for each in orders if each[1].client_id in sent],
        trading.order_style, trading.latency_ms, trading.latency_sigma,
    )  # fmt: skip


def _report(
    played: ReplayedSession, rows: list[LedgerRow], pairs: list[tuple[str, OrderPair]]
) -> SessionReport:
    """Figures of a session that was played again."""
    began, figures = played.began, played.book.figures()
    is_paper = began["mode"] == "paper"
    filled = {row.event for row in rows if row.kind != "settlement"}
    return SessionReport(
        run=played.run, mode=began["mode"], is_simulated=bool(began["simulated"]), n_events=len(filled),
        model=str(began["model"]), began_ns=played.first_ns,
        seconds=(played.last_ns - played.first_ns) / NS_PER_SECOND, ended=played.ended, replay=figures,
        difference_e6=differences_e6(played) if is_paper and played.ended is not None else None,
        counters=dict(played.core.counters),
        by_market=sums_by(rows, "ticker"), by_event=sums_by(rows, "event"), by_day=sums_by(rows, "day"),
        opening=None if is_paper else opening_of(played),
        comparison=None if is_paper else figures_of(pairs),
        fitted=None if is_paper else _fitted(played),
        controls=tuple(
            ReportedControl(
                seconds=(told["noted_ns"] - played.first_ns) / NS_PER_SECOND, control=told["control"],
                state="over" if told["control"] == CONTROL_END else told["state"], why=told["why"],
            )
            for told in played.controls
        ),
        own_orders={} if played.core.own is None else dict(played.core.own.counts),
        latency=None if played.ended is None else played.ended.get("latency"),
    )  # fmt: skip


def _counts(report: SessionReport) -> dict[str, int]:
    """Counts of the replay for the page."""
    return report.counters | {name: int(report.replay[name]) for name in _ACCOUNT_COUNTS}


def _shown(row: LedgerRow) -> dict[str, Any]:
    """Row of the ledger for the page, its time of day to the ms."""
    at = datetime.fromtimestamp(row.at_ns // NS_PER_SECOND, UTC)
    time = f"{at:%Y-%m-%d %H:%M:%S}.{row.at_ns % NS_PER_SECOND // NS_PER_MS:03d}"
    return {"time": time} | {name: getattr(row, name) for name in row.__dataclass_fields__}
