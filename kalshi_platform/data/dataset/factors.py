"""The factor behind an event: the thing in the world that moves it and its kin together, such as the weather.

Order     a mapping file (longest prefix of ticker, event or series) · the exchange's category · the category
          that another event of the same series has · the table of series below · the series itself.
Unknown   a series of which nothing else is known is a factor of its own: ``is_assumed`` says so, and the
          build counts its events (``events_of_assumed_factor``).
Names     a factor of a mapping file is written as a category is: ``Weather`` and ``weather`` are one factor,
          or else one thing in the world would count as two. Lines that fit no event are named: ``unfitting``.
Stem      series are compared without their leading ``KX``: HIGHCHI became KXHIGHCHI.
"""

import csv
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import Field

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.fee_schedule import series_of
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.domain.market import MarketSpec

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,39}")
_PREFIX: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
#: Categories, lower case, that are called otherwise here; any other is its own name with hyphens.
_CATEGORY_NAMES: Final = {"climate and weather": "weather", "climate": "weather", "elections": "politics"}
_COINS: Final = "BTC|ETH|SOL|XRP|DOGE|BNB|HYPE|NEAR|ZEC|ADA|LTC|BCH|AVAX|LINK|SHIB|DOT|SUI|TRX|XLM|PEPE"
#: Stems of series to their factor, where no category is known.
_SERIES: Final = (
    (re.compile(rf"({_COINS})(\d|D\b|D$|Y$|MAX|MIN|E$|$)"), "crypto"),
    (re.compile(r"(HIGH|LOW|RAIN|SNOW|TEMP|HURR|TORNADO|WIND)"), "weather"),
    (re.compile(r"(INX|NASDAQ100|DJI|RUSSELL|TNOTE|USDJPY|EURUSD|GBPUSD|WTI|GOLD|SILVER)"), "financials"),
    (re.compile(r"(FED|CPI|GDP|PAYROLLS|U3|PCE|JOBLESS|RATECUT|PPI)"), "economics"),
    (re.compile(r"(MLB|WNBA|NBA|NFL|NHL|NCAA|EPL|UCL|MLS|ATP|WTA|PGA|UFC|F1|NASCAR|NEXTTEAM)"), "sports"),
)  # fmt: skip


class FactorRule(Config):
    """One line of a mapping file: tickers, events or series that begin with ``prefix`` have ``factor``."""

    prefix: str = Field(pattern=r"^[A-Za-z0-9._-]{1,128}$")
    factor: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 _-]{0,39}$")


class Factor(NamedTuple):
    """Name of a factor; ``is_assumed`` where nothing but the series' own name gave it."""

    name: str
    is_assumed: bool = False


class Factors:
    """Factors of events, from the rules of a mapping file and from all markets that are known."""

    def __init__(self, rules: Sequence[FactorRule], specs: Iterable[MarketSpec]) -> None:
        """``specs`` teach the category of each series, for events of the series that lack one."""
        self._rules = sorted(rules, key=lambda rule: (-len(rule.prefix), rule.prefix))
        told: dict[str, Counter[str]] = defaultdict(Counter)
        for spec in specs:
            if spec.category:
                told[_stem(spec)][_of_category(spec.category)] += 1
        self._told = {stem: min(found, key=lambda name: (-found[name], name)) for stem, found in told.items()}

    def of(self, markets: Sequence[MarketSpec]) -> Factor:
        """Factor of one event; ContractError where two rules claim its ``markets`` for two factors."""
        if (rule := self._ruled(markets)) is not None:
            return Factor(rule.factor)
        categories = sorted(spec.category for spec in markets if spec.category)
        if categories:
            return Factor(_of_category(categories[0]))
        stem = _stem(markets[0])
        known = self._told.get(stem) or next((name for at, name in _SERIES if at.match(stem)), None)
        return Factor(_safe(stem), is_assumed=True) if known is None else Factor(known)

    def unfitting(self, events: Iterable[Sequence[MarketSpec]]) -> tuple[str, ...]:
        """Prefixes of the mapping file with which no ticker, event or series of ``events`` begins, sorted."""
        names = {name for markets in events for spec in markets for name in _names(spec)}
        return tuple(sorted(r.prefix for r in self._rules if not any(n.startswith(r.prefix) for n in names)))

    def _ruled(self, markets: Sequence[MarketSpec]) -> FactorRule | None:
        names = {name for spec in markets for name in _names(spec)}
        fits = [rule for rule in self._rules if any(name.startswith(rule.prefix) for name in names)]
        longest = [rule for rule in fits if len(rule.prefix) == len(fits[0].prefix)]
        if len({rule.factor for rule in longest}) > 1:
            told = ", ".join(f"{rule.prefix} -> {rule.factor}" for rule in longest)
            raise ContractError(
                f"--factors gives event {markets[0].event} two factors ({told}), but its markets settle "
                f"together: add a line for the prefix {markets[0].event} or give both the same factor"
            )
        return fits[0] if fits else None


def read_factors(path: Path) -> tuple[FactorRule, ...]:
    """Rules of a mapping file, sorted by prefix.

    CSV: two columns, prefix and factor, with a header of these names or none. JSON: an object prefix ->
    factor. DataError names the file, the line and the value that is refused.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as err:
        raise DataError(f"{path}: cannot be read ({err}); give --factors a CSV or JSON file") from None
    pairs = _json_pairs(path, text) if text.lstrip()[:1] in ("{", "[") else _csv_pairs(path, text)
    rules: dict[str, tuple[str, str]] = {}
    for where, prefix, factor in pairs:
        for name, value, allowed in (("prefix", prefix, _PREFIX), ("factor", factor, _NAME)):
            if allowed.fullmatch(value) is None:
                raise DataError(f"{where}: {name} {value[:80]!r} is none: allowed is {allowed.pattern}")
        written = _of_category(factor)
        before = rules.setdefault(prefix, (written, where))
        if before[0] != written:
            raise DataError(
                f"{where}: prefix {prefix} -> {factor}, but {before[1]} says {before[0]}: keep one of them"
            )
    if not rules:
        raise DataError(f"{path}: no line with a prefix and a factor; write PREFIX,FACTOR (KXBTC,crypto)")
    return tuple(FactorRule(prefix=prefix, factor=factor) for prefix, (factor, _) in sorted(rules.items()))


def _csv_pairs(path: Path, text: str) -> Iterable[tuple[str, str, str]]:
    is_first = True
    for number, line in enumerate(text.splitlines(), start=1):
        where = f"{path}: line {number}"
        try:
            cells = [cell.strip() for row in csv.reader([line]) for cell in row]
        except csv.Error as err:
            raise DataError(f"{where}: no CSV ({err}); expected two cells, PREFIX,FACTOR") from None
        if not any(cells) or cells[0].startswith("#"):
            continue
        is_header, is_first = is_first and [cell.lower() for cell in cells] == ["prefix", "factor"], False
        if is_header:
            continue
        if len(cells) != 2:
            raise DataError(f"{where}: {len(cells)} cells; expected two, PREFIX,FACTOR (KXBTC,crypto)")
        yield where, cells[0], cells[1]


def _json_pairs(path: Path, text: str) -> Iterable[tuple[str, str, str]]:
    try:
        pairs: Any = json.loads(text, object_pairs_hook=list)
    except (ValueError, RecursionError) as err:
        raise DataError(f"{path}: no JSON ({err}); write an object, PREFIX: FACTOR") from None
    if not text.lstrip().startswith("{"):
        raise DataError(f"{path}: a list; expected one object, PREFIX: FACTOR")
    for number, (prefix, factor) in enumerate(pairs, start=1):
        line = text[: max(text.find(json_text(prefix)), 0)].count("\n") + 1
        where = f"{path}: line {line}, entry {number}"
        if not isinstance(factor, str):
            raise DataError(f"{where}: factor of {prefix!r} is {factor!r}; expected a name in quotes")
        yield where, prefix, factor


def _names(spec: MarketSpec) -> Iterator[str]:
    """Names of a market with which a prefix is compared."""
    return (name for name in (spec.ticker, spec.event, spec.series) if name)


def _stem(spec: MarketSpec) -> str:
    """Series without its leading KX, upper case; where no series is told, the one that the event names."""
    series = (spec.series or series_of(spec.event)).upper()
    return series.removeprefix("KX") or series


def _of_category(category: str) -> str:
    name = category.strip().lower()
    return _CATEGORY_NAMES.get(name) or _safe(name)


def _safe(text: str) -> str:
    """``text`` as a factor's name: letters, digits and hyphens, at most 40."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-_")[:40] or "unnamed"
