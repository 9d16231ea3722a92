"""The division of recorded events in time: per factor, whole blocks, train first, the test part last.

Stratum    the events of one factor and provenance; two whose times overlap, or stand nearer than a block and
           an embargo, are one. So a day's weather is in one split, whichever provenance tells of it.
Cuts       three consecutive parts with an embargo between: no event of train overlaps in time with a held-out
           event of its factor. The test part takes its share of the blocks, the last ones; then validation;
           train is what is left. An event in an embargo or across a cut belongs to no split. Only blocks
           with an event that can be played are counted; an event that cannot goes where its time puts it.
Judge only a stratum of fewer than three such blocks, or without room for the embargoes, is in no split. It is
           judged with all others (``evaluate --split all``).
Growth     cuts stay. A new event goes where its own time puts it: into a part that is there, into the last
           part of its stratum where it is later, else nowhere. Events of a factor that are clear of all
           strata that hold them are divided on their own. A stratum that is judge only stays so; a new build
           of all recordings divides it.
Time cut   given, train ends before it in every stratum, and the rest begins after it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from kalshi_platform.data.dataset.blocks import Part, Stratum, Undivided, block_length
from kalshi_platform.data.dataset.split import (
    EventFacts,
    Split,
    SplitConfig,
    assign_splits,
    join_splits,
    quota_bounds,
)
from kalshi_platform.domain.market import Provenance

_FEWEST_BLOCKS: Final = 3
_Facts = Mapping[str, EventFacts]


class Division(NamedTuple):
    """Where the events of a dataset live; the strata hold the rules by which more of them join."""

    parts: dict[str, Part | None]  # None: in an embargo or across a cut, in no split for ever
    blocks: dict[str, str]  # of recorded events in a part
    strata: tuple[Stratum, ...]


class Held(NamedTuple):
    """Events that a dataset holds (part and richest provenance) and the strata that divide those to come."""

    events: Mapping[str, tuple[Part, Provenance]]
    strata: tuple[Stratum, ...]
    is_by_event: bool  # recorded events were drawn one by one, before blocks were kept


def divide(events: _Facts, config: SplitConfig) -> Division:
    """Divide the events of a new dataset."""
    simulated = {e: f for e, f in events.items() if f.provenance == "simulated"}
    division = Division(dict(assign_splits(simulated, config)), {}, ())
    for factor in sorted({f.factor for f in events.values() if f.provenance != "simulated"}):
        of_factor = {e: f for e, f in events.items() if f.factor == factor and f.provenance != "simulated"}
        division = _with_strata(division, factor, of_factor, config)
    return division


def join(new: _Facts, there: Held, config: SplitConfig) -> Division:
    """Divide the events of ``new``, which join a dataset; parts and blocks of the result are theirs alone."""
    drawn: dict[str, tuple[Split, Provenance]] = {}
    for event, (part, provenance) in there.events.items():
        if part != "judge_only" and (there.is_by_event or provenance == "simulated"):
            drawn[event] = (part, provenance)
    alone = {e: f for e, f in new.items() if there.is_by_event or f.provenance == "simulated"}
    joined = Division(dict(join_splits(alone, drawn, config)), {}, there.strata)
    if there.is_by_event:
        return joined
    for factor in sorted({f.factor for f in new.values() if f.provenance != "simulated"}):
        of_factor = {e: f for e, f in new.items() if f.factor == factor and f.provenance != "simulated"}
        clear: dict[str, EventFacts] = {}
        for event, facts in sorted(of_factor.items(), key=lambda at: (at[1].first_ns, at[0])):
            home = _home(facts, joined.strata)
            if home is None:
                clear[event] = facts
            else:
                joined = _placed(joined, event, facts, home)
        joined = _with_strata(joined, factor, clear, config)
    return joined


def stretched(strata: Sequence[Stratum], grown: Iterable[tuple[str, str, EventFacts]]) -> tuple[Stratum, ...]:
    """``strata`` that reach as far as their events which grew: (event, name of its stratum, its facts now).

    Otherwise an event to come could stand beside the new rows and be taken for clear of the stratum.
    """
    found = {stratum.name: stratum for stratum in strata}
    for event, name, facts in grown:
        home = found[name]
        is_long = facts.last_ns - facts.first_ns > home.block_ns
        found[name] = home.replace(
            first_ns=min(home.first_ns, facts.first_ns),
            last_ns=max(home.last_ns, facts.last_ns),
            long=tuple(sorted({*home.long, event})) if is_long else home.long,
        )
    return tuple(found.values())


def part_in(facts: EventFacts, strata: Iterable[Stratum]) -> Part | None:
    """Part of an event by its time; None where strata of its factor that hold the time disagree."""
    parts = {
        s.part_of(facts.first_ns, facts.last_ns)
        for s in strata
        if s.factor == facts.factor and _holds(s, facts)
    }
    return parts.pop() if len(parts) == 1 else None


def _home(facts: EventFacts, strata: Sequence[Stratum]) -> Stratum | None:
    """Stratum that an event joins: one that holds its time, its own provenance's first; else None."""
    held = [s for s in strata if s.factor == facts.factor and _holds(s, facts)]
    return min(held, key=lambda s: (facts.provenance not in s.provenances, s.first_ns, s.name), default=None)


def _holds(stratum: Stratum, facts: EventFacts) -> bool:
    """True where the time lies in or near the stratum, or where its cuts go on for the provenance."""
    goes_on = stratum.undivided is None and facts.provenance in stratum.provenances
    return goes_on or stratum.near(facts.first_ns, facts.last_ns)


def _placed(joined: Division, event: str, facts: EventFacts, home: Stratum) -> Division:
    """``joined`` with one event more, in a stratum that is there."""
    part = part_in(facts, joined.strata)
    changes: dict[str, object] = {"left_out": tuple(sorted({*home.left_out, event}))}
    if part is not None:
        joined.blocks[event] = home.block_of(facts.first_ns)
        changes = {
            "first_ns": min(home.first_ns, facts.first_ns),
            "last_ns": max(home.last_ns, facts.last_ns),
            "provenances": tuple(sorted({*home.provenances, facts.provenance})),
        }
        if facts.last_ns - facts.first_ns > home.block_ns:
            changes["long"] = tuple(sorted({*home.long, event}))
    joined.parts[event] = part
    strata = tuple(home.replace(**changes) if s.name == home.name else s for s in joined.strata)
    return joined._replace(strata=strata)


def _with_strata(division: Division, factor: str, events: _Facts, config: SplitConfig) -> Division:
    """``division`` with the events of one factor that no stratum holds, in strata of their own."""
    there = [s for s in division.strata if s.factor == factor]
    new: list[Stratum] = []
    for group in _groups(events, config):
        number = len(there) + len(new) + 1
        stratum = _cut(f"{factor}.{number}" if number > 1 else factor, factor, group, config)
        out = []
        for event, facts in group.items():
            # Blocks of a stratum that came earlier may reach into one with longer blocks: nobody's events.
            is_clear = not any(s.near(facts.first_ns, facts.last_ns, stratum.reach_ns) for s in there)
            part = stratum.part_of(facts.first_ns, facts.last_ns) if is_clear else None
            division.parts[event] = part
            if part is None:
                out.append(event)
            else:
                division.blocks[event] = stratum.block_of(facts.first_ns)
        new.append(stratum.replace(left_out=tuple(sorted(out))))
    return division._replace(strata=(*division.strata, *new))


def _groups(events: _Facts, config: SplitConfig) -> list[dict[str, EventFacts]]:
    """Events of one factor by provenance, joined where their times meet; the earliest group first."""
    by_provenance: dict[Provenance, dict[str, EventFacts]] = defaultdict(dict)
    for event, facts in events.items():
        by_provenance[facts.provenance][event] = facts
    groups = list(by_provenance.values())
    while True:
        groups.sort(key=lambda g: (min(f.first_ns for f in g.values()), min(g)))
        for at, (one, two) in enumerate(pairwise(groups)):
            reach = max(sum(_lengths(g.values(), config)[:2]) for g in (one, two, one | two))
            end = max(f.last_ns for f in one.values())
            if min(f.first_ns for f in two.values()) < end + reach:
                groups[at : at + 2] = [one | two]
                break
        else:
            return groups


def _lengths(facts: Iterable[EventFacts], config: SplitConfig) -> tuple[int, int, int]:
    """(length of a block, embargo, longest life that is not long), ns."""
    block_ns, longest_ns = block_length([f.last_ns - f.first_ns for f in facts], config.block_ns)
    return block_ns, max(longest_ns, config.embargo_ns), longest_ns


def _cut(name: str, factor: str, events: _Facts, config: SplitConfig) -> Stratum:
    """Stratum of ``events`` with its cuts, or with the reason why it has none."""
    block_ns, embargo_ns, longest_ns = _lengths(events.values(), config)
    stratum = Stratum(
        name=name,
        factor=factor,
        provenances=tuple(sorted({f.provenance for f in events.values()})),
        block_ns=block_ns,
        embargo_ns=embargo_ns,
        first_ns=min(f.first_ns for f in events.values()),
        last_ns=max(f.last_ns for f in events.values()),
        long=tuple(sorted(e for e, f in events.items() if f.last_ns - f.first_ns > longest_ns)),
    )
    ends: dict[int, int] = {}  # begin of a block that can be played -> earliest end of such events in it
    for f in (f for f in events.values() if f.is_playable):
        start = stratum.start_of(f.first_ns)
        ends[start] = min(ends.get(start, f.last_ns), f.last_ns)
    if config.time_cut_ns is not None:
        return stratum.replace(**_cuts_at(config.time_cut_ns, ends, stratum, config))
    if len(ends) < _FEWEST_BLOCKS:
        return stratum.replace(undivided="fewer_than_3_blocks")
    _, b_validation, b_test = 0, *quota_bounds(len(ends), config.shares)
    for n_validation, n_test in ((b_test - b_validation, len(ends) - b_test), (1, 1)):
        cuts = _held_out(ends, embargo_ns, n_validation, n_test)
        if cuts is not None:
            train_to_ns = cuts["validation_from_ns"] - embargo_ns
            if any(end < train_to_ns for end in ends.values()):
                return stratum.replace(train_to_ns=train_to_ns, **cuts)
    no_room: Undivided = "no_room_for_embargo"
    return stratum.replace(undivided=no_room)


def _held_out(
    ends: Mapping[int, int], embargo_ns: int, n_validation: int, n_test: int
) -> dict[str, int] | None:
    """Cuts of a validation part of so many blocks before a test part; None where there is no room."""
    starts = sorted(ends)
    test_from_ns = starts[-n_test]
    validation_to_ns = test_from_ns - embargo_ns
    usable = [s for s in starts if s < test_from_ns and ends[s] < validation_to_ns]
    if len(usable) < n_validation:
        return None
    return {
        "validation_from_ns": usable[-n_validation],
        "validation_to_ns": validation_to_ns,
        "test_from_ns": test_from_ns,
    }


def _cuts_at(cut_ns: int, ends: Mapping[int, int], stratum: Stratum, config: SplitConfig) -> dict[str, int]:
    """Cuts where train ends at a given time: the blocks after it are divided into validation and test."""
    train_to_ns = cut_ns - config.embargo_ns
    held_from_ns = max(cut_ns + config.embargo_ns, train_to_ns + stratum.embargo_ns)
    held_from_ns = -(-held_from_ns // stratum.block_ns) * stratum.block_ns
    after = {start: end for start, end in ends.items() if start >= held_from_ns}
    cuts: dict[str, int] | None = None
    if len(after) > 1:
        (bound,) = quota_bounds(len(after), config.shares[1:])
        for n_validation, n_test in ((bound, len(after) - bound), (1, 1)):
            cuts = cuts or _held_out(after, stratum.embargo_ns, n_validation, n_test)
    return {"train_to_ns": train_to_ns, "validation_from_ns": held_from_ns} | {
        name: at for name, at in (cuts or {}).items() if name != "validation_from_ns"
    }
