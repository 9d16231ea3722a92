"""Compares two datasets measure by measure: a distance each, and the first one's sampling noise beside it."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np

from kalshi_platform.data.dataset.inspect import doubts_of
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.domain.commit import Stamp
from kalshi_platform.domain.saying import Countdown, Say, silent
from kalshi_platform.evaluation.realism.distances import (
    QUANTILES,
    Pooled,
    distances,
    drawn_units,
    noise_of,
    quantiles,
)
from kalshi_platform.evaluation.realism.measures import (
    DISTRIBUTIONS,
    NO_ROWS,
    NUMBERS,
    Distribution,
    Number,
)
from kalshi_platform.evaluation.realism.record import (
    DistributionFound,
    NumberFound,
    Realism,
    RealismConfig,
    SeenDistribution,
    SideFacts,
)
from kalshi_platform.evaluation.realism.side import Side, measure_side, select_entries
from kalshi_platform.evaluation.statistics.blocks import MIN_BLOCKS, decides_nothing

#: Points of the curves that the page draws.
_POINTS: Final = 80
_NAMED: Final = 8


def compare_datasets(
    recorded: str,
    simulated: str,
    select: Sequence[str] = (),
    select_simulated: Sequence[str] = (),
    config: RealismConfig | None = None,
    say: Say = silent,
) -> Realism:
    """Compare the datasets at the two addresses; ``select`` are beginnings of events' names, none: all."""
    config = config or RealismConfig()
    asked = ((recorded, select, "recorded"), (simulated, select_simulated, "simulated"))
    opened = [(Dataset.open(uri), chosen, verb) for uri, chosen, verb in asked]
    for dataset, chosen, _ in opened:
        select_entries(dataset, chosen)  # refuses now, not after the other side was measured
    found: list[tuple[Side, SideFacts]] = []
    for dataset, chosen, verb in opened:
        show = Countdown(say, f"measuring {verb}")
        side = measure_side(dataset, chosen, partial(show, text="events"))
        say(f"measured {verb}: {side.counts.events:,} events, {side.counts.rows:,} rows")
        found.append((side, _facts(dataset, side, chosen)))
    (ours, our_facts), (theirs, their_facts) = found
    times = drawn_units(ours.units.n, config.draws, config.seed) if ours.units.n >= MIN_BLOCKS else None
    return Realism(
        recorded=our_facts,
        simulated=their_facts,
        distributions=tuple(compare_distribution(d, ours, theirs, times) for d in DISTRIBUTIONS),
        numbers=tuple(compare_number(n, ours, theirs, times) for n in NUMBERS),
        limits=tuple(
            _limits(ours, theirs, is_one_dataset=our_facts.dataset_digest == their_facts.dataset_digest)
        ),
        config=config,
        made=Stamp.now(),
    )


def compare_distribution(
    measure: Distribution, recorded: Side, simulated: Side, times: np.ndarray | None
) -> DistributionFound:
    """One distribution of both sides; ``times`` (draws, units) are the resamples, None: no noise."""
    ours, theirs = recorded.pooled[measure.name], simulated.pooled[measure.name]
    a, b = (pooled._replace(value=measure.scaled(pooled.value)) for pooled in (ours, theirs))
    w1 = ks = None
    if ours.n and theirs.n:
        w1, ks = distances(a, b, measure.low, measure.high)
    noise = noise_of(a, times, measure.low, measure.high) if times is not None and ours.n else None
    return DistributionFound(
        name=measure.name, group=measure.group, unit=measure.unit, scale=measure.scale,
        definition=measure.definition, recorded=_seen(ours), simulated=_seen(theirs),
        distance=w1, distance_unit=measure.distance_unit,
        noise=_quantile(noise, 0, 0.95), noise_median=_quantile(noise, 0, 0.5),
        ks=ks, ks_noise=_quantile(noise, 1, 0.95), curves=_curves(ours, theirs),
        missing=_missing((measure.name,), recorded, simulated, bool(ours.n), bool(theirs.n)),
    )  # fmt: skip


def compare_number(measure: Number, recorded: Side, simulated: Side, times: np.ndarray | None) -> NumberFound:
    """One number of both sides; ``times`` as for :func:`compare_distribution`."""
    sums = [recorded.sums[name] for name in measure.sums]
    ours = _known(measure.value(*(each.sum() for each in sums)))
    theirs = _known(measure.value(*(simulated.sums[name].sum() for name in measure.sums)))
    noise = None
    if times is not None and ours is not None:
        noise = np.abs(measure.value(*(times @ each for each in sums)) - ours)[:, None]
    return NumberFound(
        name=measure.name, group=measure.group, unit=measure.unit, definition=measure.definition,
        recorded=ours, simulated=theirs,
        distance=None if ours is None or theirs is None else abs(ours - theirs),
        noise=_quantile(noise, 0, 0.95), noise_median=_quantile(noise, 0, 0.5),
        missing=_missing(
            measure.sums, recorded, simulated, ours is not None, theirs is not None, measure.undefined
        ),
    )  # fmt: skip


def _facts(dataset: Dataset, side: Side, selected: Sequence[str]) -> SideFacts:
    counts = side.counts
    return SideFacts(
        uri=dataset.uri, dataset_digest=dataset.digest, selected=tuple(selected), events=counts.events,
        first_events=side.events[:_NAMED], markets=counts.markets, provenance=dict(side.provenance),
        rows=counts.rows, quoted_rows=counts.quoted, left_out=dict(counts.left_out),
        test_events=counts.test_events, units=side.units.words,
        doubts=doubts_of(dataset.manifest.counters),
    )  # fmt: skip


def _known(value: np.ndarray) -> float | None:
    return float(value) if np.isfinite(value) else None


def _quantile(draws: np.ndarray | None, column: int, share: float) -> float | None:
    """Quantile of the draws that have a value; None where none has."""
    if draws is None:
        return None
    known = draws[np.isfinite(draws[:, column]), column]
    return float(np.quantile(known, share)) if known.size else None


def _seen(pooled: Pooled) -> SeenDistribution | None:
    if not pooled.n:
        return None
    named = zip((f"p{100 * share:.0f}" for share in QUANTILES), quantiles(pooled), strict=True)
    mean = float(pooled.value @ pooled.times) / pooled.n
    return SeenDistribution(n=pooled.n, mean=mean, quantiles=dict(named))


def _curves(ours: Pooled, theirs: Pooled) -> tuple[tuple[float, float, float], ...]:
    """Shares at or below some values of either side: its quantiles, and its ends."""
    if not (ours.n and theirs.n):
        return ()
    shares = tuple(np.linspace(0.005, 1.0, _POINTS // 2).tolist())
    at = np.unique([*quantiles(ours, shares), *quantiles(theirs, shares), ours.value[0], theirs.value[0]])
    columns = []
    for pooled in (ours, theirs):
        reached = np.concatenate([[0.0], np.cumsum(pooled.times)])
        columns.append(reached[np.searchsorted(pooled.value, at, "right")] / reached[-1])
    return tuple(zip(at.tolist(), *(column.tolist() for column in columns), strict=True))


def _missing(
    names: Sequence[str],
    recorded: Side,
    simulated: Side,
    has_ours: bool,
    has_theirs: bool,
    undefined: str = NO_ROWS,
) -> dict[str, str]:
    """Side -> number of its markets without a value, and the reason; a side with all of them is absent.

    ``undefined`` is the reason where the markets that were measured give no value.
    """
    found = {}
    for key, side, has_value in (("recorded", recorded, has_ours), ("simulated", simulated, has_theirs)):
        reasons: Counter[str] = Counter()
        for name in names:
            reasons |= side.reasons[name]
        words = [f"{n:,} of {side.counts.markets:,} markets: {reason}" for reason, n in reasons.items()]
        if not has_value and (rest := side.counts.markets - sum(reasons.values())):
            words.append(f"{rest:,} of {side.counts.markets:,} markets: {undefined}")
        if words:
            found[key] = "; ".join(words)
    return found


def _limits(recorded: Side, simulated: Side, is_one_dataset: bool) -> list[str]:
    """Sentences on what the data cannot show."""
    said = []
    if is_one_dataset and (both := len({*recorded.events} & {*simulated.events})):
        said.append(
            f"{both:,} event{' is' if both == 1 else 's are'} on both sides, from one dataset: the distances "
            "are nearer to 0 than those of other data."
        )
    if simulated.counts.quoted < recorded.counts.quoted:
        said.append(
            f"The simulated side has fewer quoted rows than the recorded one ({simulated.counts.quoted:,}, "
            f"{recorded.counts.quoted:,}): the luck of its own sample is in the distances and not in the "
            "noise, so a distance beyond the noise may be luck, too."
        )
    if n := recorded.provenance.get("simulated", 0):
        said.append(
            f"{n:,} of the {sum(recorded.provenance.values()):,} markets of the recorded side are simulated: "
            "nothing is said about a real market."
        )
    for name, side in (("recorded", recorded), ("simulated", simulated)):
        if n := side.counts.is_fill_markets:
            said.append(
                f"Fills of {n:,} market{'' if n == 1 else 's'} of the {name} side are those that a level-2 "
                "file marks (is_fill); it may miss some, so their share and the number of trades are lower "
                "bounds."
            )
        if side.counts.test_events:
            said.append(
                f"{side.counts.test_events:,} events of the {name} side are in the test split, which stays "
                "shut."
            )
    if recorded.units.is_time:
        few = decides_nothing(recorded.counts.events)
        said.append(
            f"The noise is drawn over half hours of {recorded.counts.events} recorded "
            f"event{'' if recorded.counts.events == 1 else 's'} ({few}): how much days differ from each "
            "other is not in it."
        )
    if recorded.units.n < MIN_BLOCKS:
        said.append("The recorded data is too short for its sampling noise to be drawn.")
    return said
