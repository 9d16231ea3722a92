"""Division in time: no train event beside a held-out one of its factor, nobody moves, blocks stay whole."""

from collections import Counter, defaultdict

from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.data.dataset.blocks import stratum_of
from kalshi_platform.data.dataset.split import EventFacts, SplitConfig
from kalshi_platform.data.dataset.strata import Held, divide, join, stretched
from kalshi_platform.domain.units import NS_PER_DAY, NS_PER_SECOND

MINUTE = 60 * NS_PER_SECOND
HOUR = 60 * MINUTE
DAY = NS_PER_DAY
CONFIG = SplitConfig()


@st.composite
def some_events(draw, name="", latest_h=2_000):
    n = draw(st.integers(0, 40))
    events = {}
    for i in range(n):
        first = draw(st.integers(0, latest_h)) * HOUR
        life = draw(st.sampled_from([0, MINUTE, HOUR, 5 * HOUR, DAY, 38 * HOUR, 90 * DAY]))
        provenance = draw(st.sampled_from(["quotes", "trade_implied", "recorded"]))
        factor = draw(st.sampled_from(["weather", "crypto"]))
        events[f"{name}{i}"] = EventFacts(first, first + life, provenance, factor)
    return events


CONFIGS = st.builds(
    SplitConfig,
    time_cut_ns=st.sampled_from([None, None, 900 * HOUR]),
    embargo_ns=st.sampled_from([0, 3 * DAY]),
    block_ns=st.sampled_from([0, DAY]),
    train=st.sampled_from([250, 4]),
    test=st.sampled_from([25, 4]),
)


def require_no_overlap(events, parts):
    """Assert that no event of train meets a held-out one of its factor in time."""
    for one, facts in events.items():
        if parts[one] != "train":
            continue
        for two, other in events.items():
            if parts[two] in ("validation", "test") and other.factor == facts.factor:
                assert facts.last_ns < other.first_ns or other.last_ns < facts.first_ns, (one, two)


def require_whole_blocks(parts, blocks):
    found = defaultdict(set)
    for event, block in blocks.items():
        found[block].add(parts[event])
    assert all(len(of_block) == 1 for of_block in found.values())


@given(some_events(), CONFIGS)
def test_no_train_event_overlaps_in_time_with_a_held_out_event_of_its_factor(events, config):
    parts, blocks, strata = divide(events, config)
    assert parts.keys() == events.keys()
    require_no_overlap(events, parts)
    require_whole_blocks(parts, blocks)
    assert blocks.keys() == {event for event, part in parts.items() if part is not None}
    left_out = {event for stratum in strata for event in stratum.left_out}
    assert left_out == {event for event, part in parts.items() if part is None}


@given(some_events(), CONFIGS)
def test_the_order_of_the_events_decides_nothing(events, config):
    assert divide(dict(reversed(events.items())), config)[:2] == divide(events, config)[:2]


@given(st.lists(some_events(), min_size=1, max_size=4), CONFIGS)
def test_however_a_dataset_grows_nobody_moves_and_nothing_overlaps(additions, config):
    there, parts, blocks, strata = {}, {}, {}, ()
    for number, addition in enumerate(additions):
        new = {f"{number}-{event}": facts for event, facts in addition.items()}
        if number == 0:
            division = divide(new, config)
        else:
            held = {e: (p, there[e].provenance) for e, p in parts.items() if p is not None}
            division = join(new, Held(held, strata, is_by_event=False), config)
            assert division == join(dict(reversed(new.items())), Held(held, strata, False), config)
        assert division.parts.keys() == new.keys()
        before = [(s.name, s.block_ns, s.train_to_ns, s.test_from_ns, s.undivided) for s in strata]
        strata = division.strata
        now = [(s.name, s.block_ns, s.train_to_ns, s.test_from_ns, s.undivided) for s in strata]
        assert now[: len(before)] == before  # cuts never move
        assert len({s.name for s in strata}) == len(strata)
        there, parts, blocks = there | new, parts | division.parts, blocks | division.blocks
        require_no_overlap(there, parts)
        require_whole_blocks(parts, blocks)


@given(st.lists(st.tuples(st.integers(0, 60), st.booleans()), min_size=1, max_size=60), CONFIGS)
def test_two_provenances_of_the_same_days_are_in_the_same_split(days, config):
    events = {
        f"{i}": EventFacts(day * DAY, day * DAY + 20 * HOUR, "quotes" if flag else "trade_implied", "weather")
        for i, (day, flag) in enumerate(days)
    }
    parts = divide(events, config).parts
    by_day = defaultdict(set)
    for event, facts in events.items():
        by_day[facts.first_ns].add(parts[event])
    assert all(len(found) == 1 for found in by_day.values())


def days(n, start=0, life_h=20, provenance="quotes", factor="weather", name="d"):
    return {
        f"{name}{start + i}": EventFacts(
            (start + i) * DAY, (start + i) * DAY + life_h * HOUR, provenance, factor
        )
        for i in range(n)
    }  # fmt: skip


def test_the_parts_follow_each_other_with_an_embargo_of_the_longest_life():
    # 60 blocks of a day: 50, 5 and 5 by share. Test is d55 to d59. The embargo of 20 h before d55 reaches
    # to d54 04:00, and d54 ends at 20:00: d54 is out and validation is d49 to d53; so is d48 before it.
    parts, blocks, (stratum,) = divide(days(60), CONFIG)
    named = {
        part: sorted((e for e in parts if parts[e] == part), key=lambda e: int(e[1:]))
        for part in set(parts.values())
    }
    assert named["test"] == [f"d{i}" for i in range(55, 60)]
    assert named["validation"] == [f"d{i}" for i in range(49, 54)]
    assert named[None] == ["d48", "d54"]
    assert named["train"] == [f"d{i}" for i in range(48)]
    assert (stratum.block_ns, stratum.embargo_ns, stratum.left_out) == (DAY, 20 * HOUR, ("d48", "d54"))
    assert blocks["d0"] == "weather@1970-01-01T00:00Z"


def test_fewer_than_three_blocks_are_judge_only_and_three_without_room_too():
    two = divide(days(2), CONFIG)
    assert set(two.parts.values()) == {"judge_only"}
    assert two.strata[0].undivided == "fewer_than_3_blocks"
    three = divide(days(3), CONFIG)
    assert three.strata[0].undivided == "no_room_for_embargo"
    apart = {f"d{i}": facts for i, facts in enumerate(days(1, start=s)[f"d{s}"] for s in (0, 9, 18))}
    assert divide(apart, CONFIG).parts == {"d0": "train", "d1": "validation", "d2": "test"}
    assert set(divide(days(5), CONFIG).parts.values()) == {"train", None, "validation", "test"}


def test_events_at_one_time_are_one_block_however_many_they_are():
    many = {f"coin{i}": EventFacts(0, 15 * MINUTE, "quotes", "crypto") for i in range(70)}
    division = divide(many, CONFIG)
    assert set(division.parts.values()) == {"judge_only"}
    assert len(set(division.blocks.values())) == 1


def test_a_long_market_is_in_no_split_and_the_others_are_divided_all_the_same():
    windows = {
        f"w{i}": EventFacts(i * 15 * MINUTE, i * 15 * MINUTE + 14 * MINUTE, "quotes", "crypto")
        for i in range(96)
    }
    windows["year"] = EventFacts(0, 364 * DAY, "quotes", "crypto")
    parts, _, (stratum,) = divide(windows, CONFIG)
    assert stratum.block_ns == 15 * MINUTE
    assert stratum.long == ("year",)
    assert "year" in stratum.left_out
    assert Counter(parts.values()) == {"train": 78, None: 3, "validation": 8, "test": 8}


def test_a_factor_has_a_stratum_for_each_provenance_that_stands_alone_in_time():
    events = days(60, provenance="trade_implied") | days(20, start=300, name="q")
    parts, blocks, strata = divide(events, CONFIG)
    assert [(s.name, s.provenances) for s in strata] == [
        ("weather", ("trade_implied",)), ("weather.2", ("quotes",)),
    ]  # fmt: skip
    assert {stratum_of(blocks["d0"]), stratum_of(blocks["q300"])} == {"weather", "weather.2"}
    assert {parts["q300"], parts["q319"]} == {"train", "test"}
    beside = days(60, provenance="trade_implied") | days(20, start=50, name="q")
    (one,) = divide(beside, CONFIG).strata
    assert one.provenances == ("quotes", "trade_implied")


def test_simulated_events_have_no_blocks_and_are_drawn_one_by_one():
    events = {f"s{i}": EventFacts(0, 1, "simulated") for i in range(12)}
    parts, blocks, strata = divide(events, CONFIG)
    assert Counter(parts.values()) == {"train": 10, "validation": 1, "test": 1}
    assert (blocks, strata) == ({}, ())


def grown(old, new, config=CONFIG, by_event=False):
    facts = {event: (part, "quotes") for event, part in old.parts.items() if part is not None}
    return join(new, Held(facts, old.strata, by_event), config)


def test_later_events_join_the_test_part_and_earlier_ones_train():
    old = divide(days(60, start=100), CONFIG)
    later = grown(old, days(3, start=160) | days(1, start=900))
    assert set(later.parts.values()) == {"test"}
    assert set(grown(old, days(3, start=10)).parts.values()) == {"train"}
    assert set(grown(old, days(1, start=154, name="n")).parts.values()) == {None}  # in the embargo
    assert later.strata[0].last_ns == 900 * DAY + 20 * HOUR


def test_a_new_event_of_a_block_goes_to_the_blocks_part():
    old = divide(days(60), CONFIG)
    for day, part in ((3, "train"), (51, "validation"), (57, "test")):
        new = {"new": EventFacts(day * DAY + HOUR, day * DAY + 2 * HOUR, "recorded", "weather")}
        found = grown(old, new)
        assert found.parts == {"new": part}
        assert found.blocks["new"] == old.blocks[f"d{day}"]
        assert found.strata[0].provenances == ("quotes", "recorded")


def test_what_is_judge_only_stays_so_and_what_is_clear_of_it_is_divided():
    old = divide(days(2), CONFIG)
    near = grown(old, days(1, start=2, name="n"))
    assert near.parts == {"n2": "judge_only"}
    far = grown(old, days(30, start=40))
    assert [s.name for s in far.strata] == ["weather", "weather.2"]
    assert set(far.parts.values()) == {"train", None, "validation", "test"}


def test_a_time_cut_divides_every_stratum_at_one_time():
    config = SplitConfig(time_cut_ns=40 * DAY)
    parts = divide(days(60) | days(60, factor="crypto", name="c"), config).parts
    # Train ends before day 40; d39 ends at 20:00 and the held-out blocks begin 20 h after the cut: on day 41.
    for name in "dc":
        assert parts[f"{name}39"] == "train"
        assert parts[f"{name}40"] is None
        assert parts[f"{name}41"] == "validation"
        assert parts[f"{name}59"] == "test"
    wide = divide(days(60), SplitConfig(time_cut_ns=40 * DAY, embargo_ns=3 * DAY)).parts
    assert [wide[f"d{i}"] for i in (36, 37, 42, 43)] == ["train", None, None, "validation"]


def test_a_dataset_of_an_earlier_version_goes_on_drawing_events_one_by_one():
    old = divide({}, CONFIG)
    found = join(days(12), Held({}, old.strata, is_by_event=True), CONFIG)
    assert Counter(found.parts.values()) == {"train": 10, "validation": 1, "test": 1}
    assert (found.blocks, found.strata) == ({}, ())


def unplayable(events):
    return {event: facts._replace(is_playable=False) for event, facts in events.items()}


def test_only_blocks_that_can_be_played_count_towards_the_parts():
    events = days(30) | unplayable(days(30, start=30, name="empty"))
    parts, _, (stratum,) = divide(events, CONFIG)
    playable = Counter(parts[event] for event in events if events[event].is_playable)
    assert (playable["validation"], playable["test"]) == (3, 2)
    assert stratum.test_from_ns == 28 * DAY
    assert {parts[event] for event in events if not events[event].is_playable} == {"test"}


def test_blocks_of_which_none_can_be_played_divide_nothing():
    parts, blocks, (stratum,) = divide(days(2) | unplayable(days(20, start=2, name="empty")), CONFIG)
    assert stratum.undivided == "fewer_than_3_blocks"
    assert set(parts.values()) == {"judge_only"}
    assert blocks.keys() == parts.keys()


def test_an_event_beside_the_new_rows_of_one_that_grew_is_not_clear_of_it():
    parts, _, strata = divide(days(2), CONFIG)
    held = Held({event: (part, "quotes") for event, part in parts.items()}, strata, False)
    later = days(12, start=30, name="new")
    assert "train" in join(later, held, CONFIG).parts.values()
    grown = days(2)["d1"]._replace(last_ns=45 * DAY)
    (reaching,) = stretched(strata, [("d1", strata[0].name, grown)])
    assert (reaching.last_ns, reaching.long) == (45 * DAY, ("d1",))
    joined = join(later, held._replace(strata=(reaching,)), CONFIG)
    assert set(joined.parts.values()) == {"judge_only"}
