"""Who may be shown what: a model that was judged on simulated data, and inputs that a stream cannot give.

Owns       the reasons for which a stream is not opened, or ends when another model answers.
Real       a stream without ``source`` is taken for the exchange's own: the careful reading costs a word.
Not        the marks of a model (models/registry/marks.py) nor which facts a column needs
           (data/features/needs.py).
"""

from collections.abc import Iterable, Sequence

from kalshi_platform.data.features.needs import GIVEN_BY, NEUTRAL, in_table_order, lacking
from kalshi_platform.data.features.spec import features_of
from kalshi_platform.data.market_data.facts import MarketFacts
from kalshi_platform.data.market_data.history import known_facts
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.domain.market_history import KnownFacts
from kalshi_platform.models.registry.marks import Marks
from kalshi_platform.models.registry.provenance import SIMULATED
from kalshi_platform.serving.api.messages import OpenMessage
from kalshi_platform.serving.guard.served import ServedModel
from kalshi_platform.simulation.replay.trading import TradingConfig


def refusal_of(opening: OpenMessage, served: ServedModel) -> str:
    """Reason why the stream that ``opening`` asked for gets no answer of ``served``; empty where it does."""
    model, marks = served.key.model, served.marks
    if opening.model is not None and opening.model != model:
        return (
            f"{model} answers here, the open message names {opening.model}: leave `model` out to take the "
            "one that answers, or promote the other (kalshi-platform models promote)"
        )
    if marks.simulated and opening.is_real and not opening.allow_simulated and opening.model is None:
        return (
            f"{model} {_judged(marks)} and is not shown real data unasked: open with "
            f'"allow_simulated": true, name it ("model": "{model}"), say "source": "simulated" where the '
            "frames are simulated, or serve a model that recorded data judged"
        )
    return ""


def _judged(marks: Marks) -> str:
    if marks.standing == SIMULATED:
        few = "and too little real data" if marks.n_real else "only"
        return f"was judged on simulated data {few} ({marks.judged_on})"
    return "was registered before the data that judge a model were counted, so it passes for simulated"


def columns_shown(trading: TradingConfig, window: int) -> frozenset[str]:
    """Columns of the market rows that a policy with these settings is shown, its history's included."""
    shown = {feature.name for feature in features_of([g for g in trading.groups if g != "portfolio"])}
    if window:
        shown |= {feature.name for feature in features_of(["temporal"])}
    return frozenset(shown)


def require_inputs(
    columns: Iterable[str], specs: Sequence[MarketSpec], named: Iterable[str], *, outcomes: bool
) -> None:
    """Raise ContractError where a column would show a neutral value for what nobody told.

    ``specs`` are the markets whose facts the open message tells, ``named`` those that its groups name.
    Without any market the message tells no fact, and the frames will not either.
    """
    shown = frozenset(columns)
    told = {spec.ticker: spec for spec in specs}
    tickers: list[str | None] = list(dict.fromkeys([*told, *named]))
    for ticker in tickers or [None]:
        spec = None if ticker is None else told.get(ticker)
        known = None if spec is None else known_facts(spec, MarketFacts(), None)
        missing = lacking(shown, spec, known, outcomes=outcomes)
        unseen = {need: names for need, names in missing.items() if need in NEUTRAL}
        if unseen:
            of = "" if ticker is None else f" of market {ticker}"
            words = "; ".join(f"{', '.join(names)} ({GIVEN_BY[need]})" for need, names in unseen.items())
            raise ContractError(
                f"the model reads inputs{of} that this stream does not give: {words}. To be answered all the "
                'same, with neutral values and every answer marked, open with "accept_missing_inputs": true'
            )


def missing_inputs(
    columns: frozenset[str], spec: MarketSpec, known: KnownFacts, *, outcomes: bool
) -> tuple[list[str], bool]:
    """Columns that show no fact of the market ``spec``, and True where some of them look like a known one."""
    missing = lacking(columns, spec, known, outcomes=outcomes)
    every = {name for names in missing.values() for name in names}
    return in_table_order(every), any(need in NEUTRAL for need in missing)
