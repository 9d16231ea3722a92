"""Prints of several files of one market made one: a trade that two files hold counts once, none is lost.

Files may be pieces of one recording, cut anywhere, with or without a stretch that both hold. Prints with a
trade id are told apart by it. Without ids, files that overlap hold a value as often as the file that holds
it most often: equal prints are prints of one order against several resting ones.

Where a file begins at the instant at which the files before it end, equal prints at that instant may be
the same trades (the instant was written twice) or others (the cut ran through them). Ids tell, and so do
other instants of the event that both files hold. Else nobody can know, and such prints are counted
(``trades_of_unclear_overlap``): they are the same trades if at least SINGLE_INSTANTS other instants of these
files never hold two equal prints, else others.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations, product
from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.data.market_data.importers.prints import (
    ALONE,
    NO_ID,
    Prints,
    join_prints,
    same_trades,
)
from kalshi_platform.data.market_data.schema import FLAG_BLOCK, YES, MarketRows, take

#: So many instants without equal prints say that a market does not have them.
SINGLE_INSTANTS: Final = 8
_TOLD_BY_QUOTES: Final = ("recv_ns", "side", "price_e4", "qty_e2")


def walk_order(
    market: np.ndarray, time_ns: np.ndarray, taker: np.ndarray, price_e4: np.ndarray
) -> np.ndarray:
    """Order that sorts each run of prints of one market, time and taker from the best price on; all (n,)."""
    new_run = (np.diff(market) != 0) | (np.diff(time_ns) != 0) | (np.diff(taker) != 0)
    run = np.concatenate([[0], np.cumsum(new_run)])[: market.size]
    order: np.ndarray = np.lexsort((np.where(taker == YES, price_e4, -price_e4), run))
    return order


class PrintFile(NamedTuple):
    """Prints of one market in one file."""

    path: str
    prints: Prints


#: Pairs of files, by their paths, that hold the same trades at more than one instant.
Overlaps = frozenset[frozenset[str]]


def files_that_overlap(markets: Iterable[Sequence[PrintFile]]) -> Overlaps:
    """Pairs of files that share trades at two instants or more of the ``markets``, those of one event."""
    shared: dict[frozenset[str], set[tuple[int, int]]] = defaultdict(set)
    for number, files in enumerate(markets):
        for a, b in combinations(files, 2):
            (a_begin, a_end), (b_begin, b_end) = _span_ns(a.prints), _span_ns(b.prints)
            if a_begin <= b_end and b_begin <= a_end:
                times_ns = b.prints.time_ns[same_trades(a.prints, b.prints) != ALONE]
                shared[frozenset((a.path, b.path))].update((number, t) for t in np.unique(times_ns).tolist())
    return frozenset(pair for pair, instants in shared.items() if len(instants) > 1)


def unite_prints(files: Sequence[PrintFile], overlaps: Overlaps, counters: Counter[str]) -> Prints:
    """Every trade of ``files``, none of them empty, once, in order of receive time.

    Files that share more than an instant are united first, so that a cut lies between the groups.
    ``counters`` tell what two files held.
    """
    groups: list[tuple[Prints, set[str]]] = []
    for path, file in sorted(files, key=lambda f: _span_ns(f.prints)):
        if groups and _span_ns(file)[0] < _span_ns(groups[-1][0])[1]:
            group, paths = groups[-1]
            groups[-1] = _without_repeats(group, file, same_trades(group, file), counters), {*paths, path}
        else:
            groups.append((file, {path}))
    united, before = groups[0]
    for group, paths in groups[1:]:
        partner = same_trades(united, group)
        if not any(frozenset(pair) in overlaps for pair in product(before, paths)):
            partner = _partner_at_cut(united, group, partner, counters)
        united, before = _without_repeats(united, group, partner, counters), before | paths
    united = united.pick(np.argsort(united.rows.recv_ns, kind="stable"))
    rows = united.rows
    if len(files) == 1 or (rows.recv_ns != rows.exch_ns).any():
        return united  # a clock of ours has put them in order
    return united.pick(walk_order(np.zeros(len(united)), rows.recv_ns, rows.side, rows.price_e4))


def _span_ns(prints: Prints) -> tuple[int, int]:
    """Times of the first and the last print."""
    return int(prints.time_ns.min()), int(prints.time_ns.max())


def _partner_at_cut(united: Prints, file: Prints, partner: np.ndarray, counters: Counter[str]) -> np.ndarray:
    """``partner`` (m,) of the prints of ``file``, which begins at the end of ``united`` or after it.

    Where an id shows that both hold a trade, all partners stand. Else prints of equal value are partners at
    the instant that both hold, if the market has no equal prints otherwise.
    """
    found = np.flatnonzero(partner != ALONE)
    ids = file.ids[found]
    if ((ids != NO_ID) & (united.ids[partner[found]] == ids)).any():
        return partner
    end_ns = _span_ns(united)[1]
    unclear = found[file.time_ns[found] == end_ns]
    counters["trades_of_unclear_overlap"] += unclear.size
    kept = np.full(len(file), ALONE)
    if unclear.size and _never_holds_equal_prints(united, file, end_ns):
        kept[unclear] = partner[unclear]
    return kept


def _without_repeats(united: Prints, file: Prints, partner: np.ndarray, counters: Counter[str]) -> Prints:
    """``united`` and those prints of ``file`` that have no ``partner`` (m,) in it."""
    known = partner != ALONE
    counters["trades_repeated_between_files"] += int(known.sum())
    return join_prints([_told_by(united, file.pick(known), partner[known]), file.pick(~known)])


def _never_holds_equal_prints(a: Prints, b: Prints, but_ns: int) -> bool:
    """True where SINGLE_INSTANTS instants other than ``but_ns`` are known and none holds two equal prints."""
    seen: set[int] = set()
    for prints in (a, b):
        other = prints.time_ns != but_ns
        key, time_ns = prints.key[other], prints.time_ns[other]
        order = np.lexsort((key, time_ns))
        if ((np.diff(key[order]) == 0) & (np.diff(time_ns[order]) == 0)).any():
            return False
        seen.update(np.unique(time_ns)[:SINGLE_INSTANTS].tolist())
    return len(seen) >= SINGLE_INSTANTS


def _told_by(united: Prints, twins: Prints, at: np.ndarray) -> Prints:
    """``united`` with what ``twins``, the same trades as those ``at``, tell more: an id, a block trade."""
    ids, flags = united.ids.copy(), united.rows.flags.copy()
    ids[at] = np.where(ids[at] == NO_ID, twins.ids, ids[at])
    flags[at] |= twins.rows.flags & FLAG_BLOCK
    return Prints(united.rows._replace(flags=flags), ids)


def unite_quotes(pieces: Sequence[MarketRows], counters: Counter[str]) -> tuple[list[MarketRows], list[bool]]:
    """Rows of quote files in order of time without what two of them hold, and which of ``pieces`` are used.

    Two files that tell the same of the time they share are one recording. Where they contradict each other,
    the longer one is kept and the rows of the other one are counted.
    """
    order = sorted(range(len(pieces)), key=lambda i: (-len(pieces[i].kind), int(pieces[i].recv_ns[0]), i))
    kept: list[int] = []
    for i in order:
        if all(_agree(pieces[i], pieces[k]) for k in kept):
            kept.append(i)
        else:
            counters["rows_of_overlapping_source"] += len(pieces[i].kind)
    kept.sort(key=lambda i: _place_in_time(pieces[i]))
    parts: list[MarketRows] = []
    for i in kept:
        rows = pieces[i]
        if parts and parts[-1].recv_ns[-1] > rows.recv_ns[0]:
            before, rows = _quotes_once(parts.pop(), rows)
            counters["quotes_repeated_between_files"] += len(pieces[i].kind) - len(rows.kind)
            parts.append(before)
        parts.extend([rows] if len(rows.kind) else [])
    return parts, [i in kept for i in range(len(pieces))]


def _place_in_time(rows: MarketRows) -> tuple[int, int, int]:
    """Sort key of quote files; of two files of equal span the longer one is first, of one instant last."""
    begin, end, n = int(rows.recv_ns[0]), int(rows.recv_ns[-1]), len(rows.kind)
    return begin, end, n if begin == end else -n


def _quotes_once(a: MarketRows, b: MarketRows) -> tuple[MarketRows, MarketRows]:
    """The rows of ``a``, then those of ``b`` that ``a`` does not hold; ``b`` begins later, inside ``a``.

    The last instant of ``a`` is taken from ``b`` where ``b`` tells more: ``a`` may hold a part of it only.
    """
    end_ns = a.recv_ns[-1]
    cut_a, cut_b = int(np.searchsorted(a.recv_ns, end_ns)), int(np.searchsorted(b.recv_ns, end_ns))
    if b.recv_ns[-1] < end_ns or (b.recv_ns[-1] == end_ns and len(b.kind) - cut_b <= len(a.kind) - cut_a):
        return a, take(b, slice(0, 0))
    return take(a, slice(0, cut_a)), take(b, slice(cut_b, None))


def _agree(a: MarketRows, b: MarketRows) -> bool:
    """True where both files tell the same of the time inside both.

    The first instant that both know does not count, the first record of a file tells both sides. In the last
    one, the file that ends first may lack what the other one still tells.
    """
    times_ns = [max(a.recv_ns[0], b.recv_ns[0]), min(a.recv_ns[-1], b.recv_ns[-1])]
    inside = []
    for file in (a, b):
        begin, end = np.searchsorted(file.recv_ns, times_ns, side="right").tolist()
        inside.append((int(file.recv_ns[-1]), take(file, slice(begin, max(begin, end)))))
    (_, ending), (_, other) = sorted(inside, key=lambda x: (x[0], len(x[1].kind)))
    n = len(ending.kind)
    if n > len(other.kind) or (other.recv_ns[n:] != times_ns[1]).any():
        return False
    columns = ((getattr(ending, name), getattr(other, name)[:n]) for name in _TOLD_BY_QUOTES)
    return all(np.array_equal(one, same) for one, same in columns)
