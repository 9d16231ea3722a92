"""Fees of a market over time, put together from everything that told of them.

Owns        FeeTelling (one statement of fees), FeeTable (the statements about series and events), and the one
            function that says which statement holds when.
Precedence  event override > the market's own fields > the series > the default of ``fee_schedule.py``. A
            field that a statement leaves out comes from the next layer. An override that is cleared (both
            fields empty) lets the next layer hold again.
Hindsight   metadata tell fees without a time: they hold from the beginning, ``assumed_since_open``. Where a
            statement with a time exists, it wins from its time on, and metadata that only repeat it were read
            later: they say nothing of the time before, in which the next layer holds. Metadata that differ
            from every statement with a time were read earlier, and hold until the first of those.
Not here    reading the statements out of documents and frames (``data/market_data/fee_meta.py``).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pydantic import Field

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.fee_schedule import (
    BEGINNING_NS,
    SOURCES,
    FeeSource,
    FeeStep,
    FeeTerms,
    default_fees,
    rounding_at,
    rounding_starts_ns,
)
from kalshi_platform.domain.market import FeeType


class FeeTelling(Config):
    """One statement of fees.

    A field is None where the statement does not set it; both are None where an override is cleared.
    """

    at_ns: int | None = Field(None, description="from this time it holds; None: the source tells no time")
    fee_type: FeeType | None = None
    fee_multiplier_e6: int | None = Field(None, ge=0)
    readable: bool = Field(
        True, description="False: the type has no table that could be read; assumed instead"
    )

    @property
    def is_empty(self) -> bool:
        """True where it sets neither field."""
        return self.fee_type is None and self.fee_multiplier_e6 is None

    def repeats(self, other: "FeeTelling") -> bool:
        """True where every field that this statement sets is the same in ``other``."""
        return not self.is_empty and all(
            mine is None or mine == theirs
            for mine, theirs in (
                (self.fee_type, other.fee_type),
                (self.fee_multiplier_e6, other.fee_multiplier_e6),
            )
        )


@dataclass(frozen=True, slots=True)
class FeeTable:
    """Statements about series and about events, by ticker, in the order in which they were read."""

    series: Mapping[str, tuple[FeeTelling, ...]] = field(default_factory=dict)
    events: Mapping[str, tuple[FeeTelling, ...]] = field(default_factory=dict)

    def only(self, series: Collection[str], events: Collection[str]) -> "FeeTable":
        """The statements about some series and some events."""
        return FeeTable(
            {name: self.series[name] for name in sorted(series) if name in self.series},
            {name: self.events[name] for name in sorted(events) if name in self.events},
        )


class ToldFees(Config):
    """Every statement that concerns one market: about its event, in its own row, about its series."""

    event: tuple[FeeTelling, ...] = ()
    own: tuple[FeeTelling, ...] = ()
    series: tuple[FeeTelling, ...] = ()


class _Span(NamedTuple):
    """Statement of one layer that holds from ``from_ns`` on."""

    from_ns: int
    telling: FeeTelling
    source: FeeSource


def fee_steps(
    series: str,
    event_tellings: Sequence[FeeTelling] = (),
    own_tellings: Sequence[FeeTelling] = (),
    series_tellings: Sequence[FeeTelling] = (),
    open_ns: int | None = None,
) -> tuple[FeeStep, ...]:
    """Fees of a market of ``series`` over time; the first step begins at the beginning of time.

    ``own_tellings`` are the fields of the market's own row. They yield to a change of the series that came
    after the market's opening at ``open_ns``; where that is unknown, to any change of the series.
    """
    event = _spans(event_tellings, event_tellings)
    of_series = _spans(series_tellings, series_tellings)
    own = _spans(own_tellings, [*event_tellings, *series_tellings])
    after_ns = BEGINNING_NS if open_ns is None else open_ns
    later = [t.at_ns for t in series_tellings if t.at_ns is not None and t.at_ns > after_ns]
    if own and later:
        own.append(_Span(min(later), FeeTelling(), "known"))
    layers = [sorted(layer, key=lambda s: s.from_ns) for layer in (event, own, of_series)]
    layers.append(_default_spans(series))
    starts = {BEGINNING_NS, *rounding_starts_ns(), *(s.from_ns for layer in layers for s in layer)}
    steps: list[FeeStep] = []
    for from_ns in sorted(starts):
        terms = _terms(layers, from_ns)
        if not steps or steps[-1].terms != terms:
            steps.append(FeeStep(from_ns=from_ns, terms=terms))
    return tuple(steps)


def told_once(tellings: Iterable[FeeTelling]) -> tuple[FeeTelling, ...]:
    """Statements of one layer, each once: those without a time in their order, then the others by time.

    The last one of several without a time is that which holds: of equal ones the last counts.
    """
    in_order = list(dict.fromkeys(reversed(list(tellings))))[::-1]
    return tuple(sorted(in_order, key=lambda t: (t.at_ns is not None, t.at_ns or 0)))


def _spans(tellings: Iterable[FeeTelling], all_tellings: Iterable[FeeTelling]) -> list[_Span]:
    """Spans of one layer in order: metadata from the beginning, and each statement with a time from its time.

    Metadata that repeat a statement with a time out of ``all_tellings`` are left out.
    """
    dated = [t for t in all_tellings if t.at_ns is not None]
    spans = []
    for telling in tellings:
        if telling.at_ns is not None:
            spans.append(_Span(telling.at_ns, telling, "known"))
        elif not telling.is_empty and not any(telling.repeats(d) for d in dated):
            spans.append(_Span(BEGINNING_NS, telling, "assumed_since_open"))
    return sorted(spans, key=lambda s: (s.from_ns, s.telling.at_ns is not None))


def _default_spans(series: str) -> list[_Span]:
    return [
        _Span(d.from_ns, FeeTelling(fee_type=d.fee_type, fee_multiplier_e6=d.fee_multiplier_e6), "assumed")
        for d in default_fees(series)
    ]


def _terms(layers: Sequence[Sequence[_Span]], at_ns: int) -> FeeTerms:
    """Terms in force at ``at_ns``: each field from the first layer that sets it.

    The terms are known as well as the less known of the two fields.
    """
    fee_type: FeeType | None = None
    multiplier_e6: int | None = None
    sources: list[FeeSource] = []
    for layer in layers:
        now = next((s for s in reversed(layer) if s.from_ns <= at_ns), None)
        if now is None:
            continue
        news = False
        if fee_type is None and now.telling.fee_type is not None:
            fee_type, news = now.telling.fee_type, True
        if multiplier_e6 is None and now.telling.fee_multiplier_e6 is not None:
            multiplier_e6, news = now.telling.fee_multiplier_e6, True
        if news:
            sources.append(now.source if now.telling.readable else "assumed")
    assert fee_type is not None, "the defaults set it from the beginning"
    assert multiplier_e6 is not None, "the defaults set it from the beginning"
    return FeeTerms(
        fee_type=fee_type,
        fee_multiplier_e6=multiplier_e6,
        rounding=rounding_at(at_ns),
        source=max(sources, key=SOURCES.index),
    )
