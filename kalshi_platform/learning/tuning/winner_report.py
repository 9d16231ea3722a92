"""Headline of the winner's own evaluation, as the page that compares runs shows it."""

from pathlib import Path
from typing import Final

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.evaluation.judging.checkup_facts import Finding
from kalshi_platform.evaluation.judging.compare import Comparison
from kalshi_platform.evaluation.judging.report import HTML_NAME, JSON_NAME, read_report, verdict, worth_line
from kalshi_platform.evaluation.statistics.bootstrap import Interval
from kalshi_platform.learning.tuning.findings import Findings
from kalshi_platform.learning.tuning.load_runs import Loaded

WINNER: Final = "winner"


class WinnerReport(Config):
    """Headline of the winner's own evaluation."""

    html: str  # path of the report
    split: str
    n_events: int
    n_blocks: int = 0  # 0 in pages of an earlier version
    verdict: str
    worth: str = ""
    mean_return: Interval
    pnl_e6: int
    fees_e6: int
    max_drawdown: float
    comparisons: tuple[Comparison, ...]
    findings: tuple[Finding, ...]


def winner_report(loaded: Loaded, found: Findings, problems: list[str]) -> WinnerReport | None:
    """Headline of the report in <sweep>/winner, or in the evaluation folder of a run trained alone."""
    winner = next((run for run in loaded.runs if run.name == found.winner), None)
    if winner is None:
        return None
    places = [Path(s.folder) / WINNER for s in loaded.sweeps if s.record.winner and winner.sweep == s.label]
    for folder in (*places, Path(winner.folder) / "evaluation"):
        path = folder / JSON_NAME
        if not path.is_file():
            continue
        try:
            e = read_report(path)
        except (ContractError, ValueError) as err:
            problems.append(f"{path} cannot be shown: {err}")
            continue
        return WinnerReport(
            html=str(folder / HTML_NAME),
            split=e.config.split,
            n_events=e.policy.n_events,
            n_blocks=e.policy.n_blocks,
            verdict=verdict(e),
            worth=worth_line(e),
            mean_return=e.policy.mean_return,
            pnl_e6=e.policy.trading.pnl_e6,
            fees_e6=e.policy.trading.fees_e6,
            max_drawdown=e.policy.max_drawdown,
            comparisons=e.comparisons,
            findings=e.findings,
        )
    return None
