"""Splits: no event in two, every provenance in each, ratio kept, few moves when events are added."""

import hashlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.data.dataset.split import SPLITS, EventFacts, SplitConfig, assign_splits, join_splits
from kalshi_platform.domain.errors import ContractError

PROVENANCES = ("recorded", "simulated", "quotes", "trade_implied")
EVENTS = st.sets(st.text("ABCXYZ0123456789-", min_size=1, max_size=8), max_size=80)


def alike(events, provenance="recorded"):
    return dict.fromkeys(events, EventFacts(0, 1, provenance))


def mixed(counts):
    return {f"{p}-{i}": EventFacts(0, 1, p) for p, n in counts.items() for i in range(n)}


@given(EVENTS, st.text(max_size=5))
def test_every_event_is_in_exactly_one_split(events, salt):
    splits = assign_splits(alike(events), SplitConfig(salt=salt))
    assert splits.keys() == events
    assert set(splits.values()) <= set(SPLITS)


@given(EVENTS)
def test_the_order_in_which_events_are_met_changes_nothing(events):
    forward = assign_splits(alike(sorted(events)), SplitConfig())
    assert assign_splits(alike(sorted(events, reverse=True)), SplitConfig()) == forward


@given(st.integers(3, 2_000), st.integers(1, 400), st.integers(1, 400), st.integers(1, 400))
def test_from_three_events_on_no_split_is_empty(n, train, validation, test):
    config = SplitConfig(train=train, validation=validation, test=test)
    counts = Counter(assign_splits(alike(map(str, range(n))), config).values())
    assert all(counts[split] >= 1 for split in SPLITS)


@given(st.integers(60, 3_000))
def test_the_ratio_is_exact_to_one_event(n):
    counts = Counter(assign_splits(alike(map(str, range(n))), SplitConfig()).values())
    for split, share in zip(SPLITS, (250, 25, 25), strict=True):
        assert abs(counts[split] - n * share / 300) <= 1


@given(
    st.dictionaries(st.sampled_from(PROVENANCES), st.integers(0, 60), min_size=1),
    st.sampled_from([None, 0]),
    st.text(max_size=3),
)
def test_every_split_holds_every_provenance_that_has_an_event_for_each(counts, time_cut_ns, salt):
    # With the cut at 0 every event lies after it: only validation and test are drawn.
    events = mixed(counts)
    splits = assign_splits(events, SplitConfig(salt=salt, time_cut_ns=time_cut_ns))
    assert splits.keys() == events.keys()
    drawn = SPLITS if time_cut_ns is None else SPLITS[1:]
    assert set(splits.values()) <= set(drawn)
    found = Counter((events[event].provenance, split) for event, split in splits.items())
    for provenance, n in counts.items():
        if n >= len(drawn):
            assert all(found[provenance, split] >= 1 for split in drawn)
    if len(events) >= len(drawn):
        assert set(splits.values()) == set(drawn)


def test_fifteen_recorded_events_are_not_lost_among_thousands():
    # 15 * 250 / 300 = 12.5 and 15 * 275 / 300 = 13.75: train ends at 13, validation at 14 (rounded).
    events = mixed({"recorded": 15, "trade_implied": 2_300})
    splits = assign_splits(events, SplitConfig())
    counts = Counter(splits[event] for event in events if event.startswith("recorded"))
    assert counts == {"train": 13, "validation": 1, "test": 1}


@given(st.integers(3, 100), st.integers(0, 100), st.text(max_size=3))
def test_events_of_another_provenance_move_none_of_the_first(n, n_others, salt):
    config = SplitConfig(salt=salt)
    alone = assign_splits(mixed({"recorded": n}), config)
    beside = assign_splits(mixed({"recorded": n, "quotes": n_others}), config)
    assert {event: beside[event] for event in alone} == alone


def test_three_hundred_events_are_divided_250_25_25():
    counts = Counter(assign_splits(alike(map(str, range(300))), SplitConfig()).values())
    assert counts == {"train": 250, "validation": 25, "test": 25}


@given(EVENTS.filter(lambda events: len(events) >= 2))
def test_one_more_event_moves_at_most_one_event_across_each_boundary(events):
    before = assign_splits(alike(sorted(events)[1:]), SplitConfig())
    after = assign_splits(alike(events), SplitConfig())
    assert sum(before[event] != after[event] for event in before) <= 2


def test_the_rank_is_sha256_of_salt_and_event():
    # Four events: boundaries round(4 * 250 / 300) = 3 and round(4 * 275 / 300) = 4, pulled back to 2 and 3
    # so that no split is empty.
    events = ["A", "B", "C", "D"]
    ranked = sorted(events, key=lambda e: hashlib.sha256(f"s\0{e}".encode()).digest())
    splits = assign_splits(alike(events), SplitConfig(salt="s"))
    assert [splits[event] for event in ranked] == ["train", "train", "validation", "test"]


def test_another_salt_draws_another_division():
    events = alike(map(str, range(300)))
    assert assign_splits(events, SplitConfig(salt="a")) != assign_splits(events, SplitConfig(salt="b"))


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 30)), max_size=40), st.integers(0, 10))
def test_with_a_time_cut_train_ends_an_embargo_before_anything_held_out_begins(times, embargo_ns):
    events = {str(i): EventFacts(first, first + length, "quotes") for i, (first, length) in enumerate(times)}
    splits = assign_splits(events, SplitConfig(time_cut_ns=50, embargo_ns=embargo_ns))
    assert splits.keys() == events.keys()
    for event, (first_ns, last_ns, *_) in events.items():
        if splits[event] == "train":
            assert last_ns < 50 - embargo_ns
        elif splits[event] is None:
            assert last_ns >= 50 - embargo_ns
            assert first_ns < 50 + embargo_ns
        else:
            assert first_ns >= 50 + embargo_ns


def test_a_share_of_nothing_is_refused_by_name():
    with pytest.raises(ContractError, match=r"SplitConfig\.test = 0"):
        SplitConfig.parse({"test": 0})


NEWCOMERS = st.lists(
    st.dictionaries(st.integers(0, 400), st.sampled_from(PROVENANCES), max_size=30), max_size=8
)


@given(NEWCOMERS, st.sampled_from([None, 0]))
def test_however_events_come_none_moves_and_no_stratum_starves(additions, time_cut_ns):
    # With the cut at 0 every event lies after it: only validation and test are drawn.
    config = SplitConfig(time_cut_ns=time_cut_ns)
    drawn = SPLITS if time_cut_ns is None else SPLITS[1:]
    there = {}
    for addition in additions:
        new = {str(i): EventFacts(0, 1, p) for i, p in addition.items() if str(i) not in there}
        joined = join_splits(new, there, config)
        assert (
            join_splits(dict(reversed(new.items())), there, config) == joined
        )  # the files' order decides nothing
        assert joined.keys() == new.keys()
        assert set(joined.values()) <= set(drawn)
        there |= {event: (joined[event], facts.provenance) for event, facts in new.items()}
    for provenance in PROVENANCES:
        counts = Counter(split for split, p in there.values() if p == provenance)
        if counts.total() >= len(drawn) + len(PROVENANCES):
            assert all(counts[split] for split in drawn)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=12))
def test_the_quotas_hold_to_two_events_however_they_come(sizes):
    there = {}
    for number, size in enumerate(sizes):
        new = alike(f"{number}-{i}" for i in range(size))
        there |= {e: (s, "recorded") for e, s in join_splits(new, there, SplitConfig()).items()}
    counts, n = Counter(split for split, _ in there.values()), len(there)
    for split, share in zip(SPLITS, (250, 25, 25), strict=True):
        assert abs(counts[split] - n * share / 300) <= 2
    if n >= 4:
        assert all(counts[split] for split in SPLITS)


def test_a_new_event_joins_the_split_that_lacks_most_and_the_first_of_equals():
    # Of 12 events the quotas are 10, 1 and 1; 8, 1 and 1 are there, so both newcomers are for train.
    # Of 24 they are 20, 2 and 2: of 14 newcomers 12 are for train and one is for each of the others.
    there = {f"t{i}": ("train", "recorded") for i in range(8)}
    there |= {"v": ("validation", "recorded"), "x": ("test", "recorded")}
    assert set(join_splits(alike("AB"), there, SplitConfig()).values()) == {"train"}
    many = Counter(join_splits(alike(map(str, range(14))), there, SplitConfig()).values())
    assert many == {"train": 12, "validation": 1, "test": 1}
    alone = join_splits(alike("ABC"), {}, SplitConfig())
    ranked = sorted("ABC", key=lambda e: hashlib.sha256(f"kalshi-platform-1\0{e}".encode()).digest())
    assert [alone[event] for event in ranked] == ["train", "validation", "test"]


def test_a_time_cut_stays_in_force_for_events_that_join():
    config = SplitConfig(time_cut_ns=50, embargo_ns=10)
    new = {"early": EventFacts(0, 39, "quotes"), "near": EventFacts(45, 70, "quotes")}
    late = {f"late{i}": EventFacts(60 + i, 90, "quotes") for i in range(4)}
    joined = join_splits(new | late, {"there": ("validation", "quotes")}, config)
    assert (joined["early"], joined["near"]) == ("train", None)
    # Five after the cut, one of them in validation already: bounds of 5 by 25 and 25 are 2.5, rounded to 3.
    assert Counter(joined[event] for event in late) == {"validation": 2, "test": 2}
