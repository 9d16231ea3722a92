"""Feature set ``resolution`` and the category's rate: outcomes of other markets, as known at each moment.

Owns       the outcomes of all markets that the metadata holds and, for each market, a step function of time
           made of those it may know.
Invariant  an outcome counts from the time it became known on (``MarketRecord.known_ns``), never before, and
           never for a market of its own event: one temperature decides six markets.
Learners   events that teach a policy do not know the outcomes that are ``withheld``: those of events that
           judge it. Every other event knows all that was public, as a live market does.
Similar    markets share the series and belong to another event. A market without series or category knows
           nothing and gets neutral values.
Speed      the step function is computed once a market; the kernel only moves along it.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.data.features.spec import RESOLUTION
from kalshi_platform.data.market_data.market_meta import MarketRecord
from kalshi_platform.domain.compiled import inline_kernel
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.domain.units import DOLLAR_E4, NO_PRICE

_FIRST: Final = RESOLUTION.start
#: Similar markets that make a confidence of one half.
_HALF_CONFIDENT: Final = 20
#: Columns of ``Resolutions.values``.
CATEGORY_RATE, SIMILAR_RATE, SIMILAR_CONFIDENCE, CALIBRATION = range(4)
_NEUTRAL: Final = (0.5, 0.5, 0.0, 0.5)


class Resolutions(NamedTuple):
    """Step function of the known outcomes of other markets: constant from one time to the next."""

    known_ns: np.ndarray  # (K,) i8, strictly increasing
    values: np.ndarray  # (K + 1, 4) f8: values[k] holds from known_ns[k - 1] until known_ns[k]


def nothing_known() -> Resolutions:
    """Step function of a market that never knows an outcome of another one: neutral values at all times."""
    return Resolutions(np.zeros(0, np.int64), np.array([_NEUTRAL]))


class _OutcomeRow(NamedTuple):
    """One known outcome; rows are ordered by the time they became known."""

    known_ns: int
    value_e4: int
    last_e4: int
    event: str
    series: str
    category: str
    is_withheld: bool

    @classmethod
    def of(cls, record: MarketRecord, is_withheld: bool) -> "_OutcomeRow | None":
        """Outcome of a market; None where nobody knows it, or since when."""
        spec, settlement, known_ns = record.spec, record.settlement, record.known_ns
        if settlement is None or known_ns is None:
            return None
        last_e4 = NO_PRICE if record.last_price_e4 is None else record.last_price_e4
        facts = spec.event, spec.series or "", spec.category or ""
        return cls(known_ns, settlement.value_e4, last_e4, *facts, is_withheld)


class ResolutionHistory:
    """All known outcomes, small and picklable; :meth:`of` gives those that one market may know.

    The order of ``records`` does not matter. Records without an outcome, or without the time it became known,
    are left out.
    """

    def __init__(
        self,
        records: Iterable[MarketRecord] = (),
        learners: Mapping[str, int | None] | None = None,
        withheld: Collection[str] = (),
    ) -> None:
        """``learners`` may not know the outcomes of the tickers ``withheld``.

        They are events, with the time of their last row (None: not told): what became public later, no row
        of theirs can show, so that it makes no other features.
        """
        self._learners = dict(learners or {})
        self._keep([_OutcomeRow.of(record, record.spec.ticker in withheld) for record in records])

    def with_more(self, records: Iterable[MarketRecord]) -> "ResolutionHistory":
        """These outcomes and those of ``records``, which nobody may be denied."""
        labels = (
            np.array([*code], object)[numbers]
            for code, numbers in (self._event, self._series, self._category)
        )
        columns = (self._known_ns, self._value_e4, self._last_e4, *labels, self._is_withheld)
        more = ResolutionHistory(learners=self._learners)
        kept = [_OutcomeRow(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]
        more._keep([*kept, *(_OutcomeRow.of(record, False) for record in records)])
        return more

    def _keep(self, found: "Iterable[_OutcomeRow | None]") -> None:
        """Hold the outcomes in order of the time they became known, as columns."""
        rows = sorted(row for row in found if row is not None)
        self._known_ns, self._value_e4, self._last_e4 = (
            np.array([row[k] for row in rows], np.int64) for k in range(3)
        )
        self._event = _coded([row.event for row in rows])
        self._series = _coded([row.series for row in rows])
        self._category = _coded([row.category for row in rows])
        self._is_withheld = np.array([row.is_withheld for row in rows], np.bool_)

    def of(self, spec: MarketSpec) -> Resolutions:
        """Outcomes that the market ``spec`` may know.

        Equal for all markets of one event, series and category.
        """
        similar, alike = self._used(spec)
        used = similar | alike
        if not used.any():
            return nothing_known()
        known_ns, value_e4, last_e4 = self._known_ns[used], self._value_e4[used], self._last_e4[used]
        similar, alike = similar[used], alike[used]
        n_similar = np.cumsum(similar)
        error = ((last_e4 - value_e4) / DOLLAR_E4) ** 2
        brier = _running_mean(error, alike & (last_e4 != NO_PRICE), empty=0.125)  # 1 - 4 x 0.125 = 0.5
        after = np.empty((known_ns.size, len(_NEUTRAL)))
        after[:, CATEGORY_RATE] = _running_mean(value_e4 / DOLLAR_E4, alike, empty=0.5)
        after[:, SIMILAR_RATE] = _running_mean(value_e4 / DOLLAR_E4, similar, empty=0.5)
        after[:, SIMILAR_CONFIDENCE] = n_similar / (n_similar + _HALF_CONFIDENT)
        after[:, CALIBRATION] = np.maximum(1.0 - 4.0 * brier, 0.0)
        last = np.append(known_ns[1:] != known_ns[:-1], True)  # of outcomes that became known together
        return Resolutions(known_ns[last], np.vstack([_NEUTRAL, after[last]]))

    def digest_of(self, spec: MarketSpec) -> str:
        """Sha256, in hex, of all that :meth:`of` is made of, at a tenth of its cost: jobs are named by it."""
        similar, alike = self._used(spec)
        used = similar | alike
        columns = (self._known_ns, self._value_e4, self._last_e4, similar, alike)
        return hashlib.sha256(b"".join(column[used].tobytes() for column in columns)).hexdigest()

    def _used(self, spec: MarketSpec) -> tuple[np.ndarray, np.ndarray]:
        """Masks of the outcomes that ``spec`` may know, of its series and of its category."""
        foreign = ~_equal(self._event, spec.event)
        if spec.event in self._learners:
            until_ns = self._learners[spec.event]
            is_shown = True if until_ns is None else self._known_ns <= until_ns
            foreign &= ~(self._is_withheld & is_shown)
        return foreign & _equal(self._series, spec.series), foreign & _equal(self._category, spec.category)


def digest(resolutions: Resolutions) -> str:
    """Sha256 of the step function, in hex; it changes with anything that the features depend on."""
    return hashlib.sha256(resolutions.known_ns.tobytes() + resolutions.values.tobytes()).hexdigest()


def _coded(labels: Sequence[str]) -> tuple[dict[str, int], np.ndarray]:
    """Numbers for labels, so that a comparison costs microseconds: (label -> number, (n,) i8)."""
    code: dict[str, int] = {}
    return code, np.array([code.setdefault(label, len(code)) for label in labels], np.int64)


def _equal(coded: tuple[dict[str, int], np.ndarray], label: str | None) -> np.ndarray:
    code, numbers = coded
    return numbers == (code.get(label, -1) if label else -1)


def _running_mean(x: np.ndarray, counted: np.ndarray, empty: float) -> np.ndarray:
    """Mean of the counted x up to each place, ``empty`` before the first; it stays within the bounds of x."""
    n = np.cumsum(counted)
    total = np.cumsum(np.where(counted, x, 0.0))
    mean: np.ndarray = np.where(n > 0, total / np.maximum(n, 1), empty)
    return mean


@inline_kernel
def advance_known(known_ns: np.ndarray, step: int, now_ns: int) -> int:
    """Return the number of times in ``known_ns`` up to ``now_ns``: the row of ``values`` that holds then.

    known_ns: (K,) i8, ascending; step: the number that held at an earlier time, where the search begins.
    """
    while step < known_ns.size and known_ns[step] <= now_ns:
        step += 1
    return step


@inline_kernel
def write_resolution(out: np.ndarray, row: int, values: np.ndarray, step: int) -> None:
    """Write the feature set into ``out[row]``, out (n, F) f4, from the ``step`` that holds now."""
    out[row, _FIRST] = values[step, SIMILAR_RATE]
    out[row, _FIRST + 1] = values[step, SIMILAR_CONFIDENCE]
    out[row, _FIRST + 2] = values[step, CALIBRATION]
