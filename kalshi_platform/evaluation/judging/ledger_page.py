"""The parts of a ledger that a report shows: listed round trips, plotted plays, links to the files.

Owns   the values and filters of the templates trades, markets and episodes.
Not    any figure (trade_list.py, plays.py) nor a picture (episode_plot.py).
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from kalshi_platform.data.dataset.blocks import duration_words
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.evaluation.judging.episode_plot import plot_play
from kalshi_platform.evaluation.judging.evaluation import Evaluation
from kalshi_platform.evaluation.judging.ledger_tables import LedgerTables
from kalshi_platform.evaluation.judging.plays import CHOICE
from kalshi_platform.evaluation.judging.trade_list import list_trips


def moment(time_ns: int) -> str:
    """Time to the second, UTC."""
    return datetime.fromtimestamp(time_ns // NS_PER_SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S")


def cents(price_e4: int | None) -> str:
    """Price in cents with at most two decimals, "53.5 c"; "-" where unknown."""
    return "-" if price_e4 is None else f"{price_e4 / 100:.10g} c"


def contracts(size_e2: int) -> str:
    """Number of contracts: 1_050 -> "10.5"."""
    return f"{size_e2 / 100:,.10g}"


FILTERS: Final[Mapping[str, Callable[..., str]]] = {
    "moment": moment,
    "cents": cents,
    "contracts": contracts,
    "duration": duration_words,
}


def rules_words() -> str:
    """The rules by which plays are chosen, in words."""
    return ", ".join(f"{why} ({most})" for why, most in CHOICE.items())


def ledger_values(evaluation: Evaluation, ledger: LedgerTables | None) -> dict[str, Any]:
    """Values of the templates that show ``ledger``; None where no ledger lies beside the page."""
    plays = () if ledger is None else ledger.plays
    links: dict[tuple[str, int], int] = {}
    for k, play in enumerate(plays, start=1):
        links.setdefault((play.market.ticker, play.seed), k)
    return {
        "ledger": ledger,
        "listed": () if ledger is None else list_trips(ledger.trips),
        "plots": [(play, plot_play(play)) for play in plays],
        "play_links": links,
        "play_rules": rules_words(),
        "many_seeds": evaluation.policy.n_seeds > 1,
        "windows": evaluation.config.schedule == "windows",
    }
