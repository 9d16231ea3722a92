"""What settled markets teach: point in time, never of the own event, equal live and in a dataset."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made.feature_rows import KNOWN, SPEC, at, build_in_python, feature, messages, quote
from made.strategies import START_NS

from kalshi_platform.data.features.kernel import build_rows
from kalshi_platform.data.features.resolution import (
    CALIBRATION,
    CATEGORY_RATE,
    SIMILAR_CONFIDENCE,
    SIMILAR_RATE,
    ResolutionHistory,
    Resolutions,
    digest,
    nothing_known,
)
from kalshi_platform.data.features.stream import FeatureStream
from kalshi_platform.data.market_data.market_meta import MarketRecord
from kalshi_platform.domain.market import MarketSpec, Settlement
from kalshi_platform.domain.units import NS_PER_SECOND

OWN = MarketSpec(ticker="E0-A", event="E0", series="RAIN", category="Climate")
NAMES = ("category_rate", "similar_rate", "similar_confidence", "category_calibration")
QUOTE = quote(4_000, 5_000)


def settled(
    event: str,
    known_ns: int | None,
    value_e4: int,
    series: str | None = "RAIN",
    category: str | None = "Climate",
    last_e4: int | None = None,
    name: str = "A",
) -> MarketRecord:
    ticker = f"{event}-{name}"
    spec = MarketSpec(ticker=ticker, event=event, series=series, category=category)
    outcome = Settlement(ticker=ticker, value_e4=value_e4, determined_ns=known_ns)
    return MarketRecord(spec, outcome, grid_declared=True, last_price_e4=last_e4)


records = st.builds(
    settled,
    event=st.sampled_from(("E0", "E1", "E2", "E3")),
    known_ns=st.integers(0, 20),
    value_e4=st.sampled_from((0, 3_700, 10_000)),
    series=st.sampled_from(("RAIN", "SNOW", None)),
    category=st.sampled_from(("Climate", "Sports", None)),
    last_e4=st.sampled_from((None, 100, 5_000, 9_900)),
)


def value_at(resolutions: Resolutions, now_ns: int) -> list[float]:
    step = np.searchsorted(resolutions.known_ns, now_ns, side="right")
    return [float(x) for x in resolutions.values[step]]


# --- what may be known -------------------------------------------------------------------------


def test_rates_confidence_and_calibration_match_values_worked_by_hand() -> None:
    history = ResolutionHistory(
        [
            settled("E1", 10, 10_000, last_e4=9_000),
            settled("E2", 20, 0, last_e4=4_000),
            settled("E3", 30, 10_000, series="SNOW"),  # another kind, the same category
            settled("E4", 40, 10_000, category="Sports", last_e4=100),  # the same kind, filed elsewhere
        ]
    )
    found = [value_at(history.of(OWN), t) for t in (9, 10, 20, 30, 40)]
    expected = {
        CATEGORY_RATE: [0.5, 1, 1 / 2, 2 / 3, 2 / 3],
        SIMILAR_RATE: [0.5, 1, 1 / 2, 1 / 2, 2 / 3],
        SIMILAR_CONFIDENCE: [0, 1 / 21, 2 / 22, 2 / 22, 3 / 23],
        # mean squared errors 0.1^2; (0.01 + 0.4^2) / 2; a market without a last price tells nothing
        CALIBRATION: [0.5, 1 - 4 * 0.01, *[1 - 4 * 0.085] * 3],
    }
    for column, values in expected.items():
        assert [row[column] for row in found] == pytest.approx(values)


def test_prices_worse_than_a_coin_give_a_calibration_of_zero() -> None:
    history = ResolutionHistory([settled("E1", 10, 10_000, last_e4=100)])
    assert value_at(history.of(OWN), 10)[CALIBRATION] == 0.0


def test_scalar_outcomes_count_with_their_value() -> None:
    history = ResolutionHistory([settled("E1", 10, 3_700)])
    assert value_at(history.of(OWN), 10)[SIMILAR_RATE] == pytest.approx(0.37)


def test_outcomes_without_a_time_and_markets_without_labels_teach_nothing() -> None:
    history = ResolutionHistory(
        [settled("E1", None, 10_000), settled("E2", 5, 0, series=None, category=None)]
    )
    for spec in (OWN, MarketSpec(ticker="X-A", event="X")):
        assert history.of(spec).known_ns.size == 0
        assert value_at(history.of(spec), 100) == value_at(nothing_known(), 100)


@given(others=st.lists(records, max_size=12), own=st.lists(records, max_size=4))
def test_outcomes_of_the_own_event_never_enter(others: list[MarketRecord], own: list[MarketRecord]) -> None:
    foreign = [r for r in others if r.spec.event != OWN.event]
    leak = [settled("E0", r.known_ns, r.settlement.value_e4, name=str(n)) for n, r in enumerate(own)]
    assert digest(ResolutionHistory(foreign + leak).of(OWN)) == digest(ResolutionHistory(foreign).of(OWN))
    assert ResolutionHistory(foreign + leak).digest_of(OWN) == ResolutionHistory(foreign).digest_of(OWN)


@given(known=st.lists(records, max_size=12), now_ns=st.integers(-1, 21))
def test_what_holds_now_does_not_depend_on_what_settles_later(known: list[MarketRecord], now_ns: int) -> None:
    past = [r for r in known if r.known_ns <= now_ns]
    assert value_at(ResolutionHistory(known).of(OWN), now_ns) == value_at(
        ResolutionHistory(past).of(OWN), now_ns
    )


@given(known=st.lists(records, max_size=12), data=st.data())
def test_the_order_of_the_records_does_not_matter(known: list[MarketRecord], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(known))
    assert digest(ResolutionHistory(known).of(OWN)) == digest(ResolutionHistory(shuffled).of(OWN))
    assert ResolutionHistory(known).digest_of(OWN) == ResolutionHistory(shuffled).digest_of(OWN)


@given(known=st.lists(records, min_size=1, max_size=12))
def test_a_job_gets_another_name_by_an_outcome_that_it_may_know_and_by_no_other(
    known: list[MarketRecord],
) -> None:
    spec = known[0].spec
    is_used = spec.event != OWN.event and (spec.series == OWN.series or spec.category == OWN.category)
    same = ResolutionHistory(known).digest_of(OWN) == ResolutionHistory(known[1:]).digest_of(OWN)
    assert same != is_used


@given(known=st.lists(records, max_size=30))
def test_steps_are_bounded_and_strictly_ordered(known: list[MarketRecord]) -> None:
    resolutions = ResolutionHistory(known).of(OWN)
    assert (np.diff(resolutions.known_ns) > 0).all()
    assert resolutions.values.shape == (resolutions.known_ns.size + 1, 4)
    assert ((resolutions.values >= 0) & (resolutions.values <= 1)).all()


def test_a_history_survives_pickling() -> None:
    history = ResolutionHistory([settled("E1", 10, 10_000)])
    assert digest(pickle.loads(pickle.dumps(history)).of(OWN)) == digest(history.of(OWN))


# --- rows --------------------------------------------------------------------------------------


@pytest.mark.parametrize("build", [build_rows, build_in_python], ids=["numba", "python"])
def test_an_outcome_counts_from_the_very_time_it_became_known(build) -> None:
    times = (START_NS + NS_PER_SECOND - 1, START_NS + NS_PER_SECOND, START_NS + 200 * NS_PER_SECOND)
    rows = build(messages(*((t, QUOTE) for t in times)), SPEC, KNOWN)
    found = np.array([feature(rows, name) for name in NAMES]).T
    np.testing.assert_allclose(found, KNOWN.values[[0, 1, 3]], rtol=1e-6)


def test_without_outcomes_the_groups_are_neutral() -> None:
    rows = build_rows(at((0, QUOTE)), SPEC)
    assert [feature(rows, name)[0] for name in NAMES] == [0.5, 0.5, 0.0, 0.5]


def test_a_live_market_learns_outcomes_as_markets_settle() -> None:
    first, second = settled("E1", START_NS + 1, 10_000), settled("E2", START_NS + 2 * NS_PER_SECOND, 0)
    messages = [at((s, QUOTE)) for s in (1, 3)]
    stream = FeatureStream(OWN, ResolutionHistory([first]).of(OWN))
    live = [stream.push(messages[0]).features.copy()]
    whole = ResolutionHistory([first, second]).of(OWN)
    stream.take_facts(whole)
    live.append(stream.push(messages[1]).features.copy())
    built = build_rows(at((1, QUOTE), (3, QUOTE)), OWN, whole)
    assert np.concatenate(live).tobytes() == built.features.tobytes()
