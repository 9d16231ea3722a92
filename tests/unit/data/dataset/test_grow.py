"""Growth of a dataset: nobody's split changes, what is unchanged is not built again, a kill loses nothing."""

import json

import pytest
from made.fake_import import EVENTS, build, files
from made.market_files import T0, book, capture, meta, quote, snapshot, trade, write
from made.stored import v1_text

from kalshi_platform.data.dataset import grow as grow_module
from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.data.dataset.grow import add_to_dataset
from kalshi_platform.data.dataset.inspect import find_problems, summarise
from kalshi_platform.data.dataset.manifest import MANIFEST_NAME
from kalshi_platform.data.dataset.shard import read_rows
from kalshi_platform.data.dataset.split import SplitConfig
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.data.market_data import schema
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.fee_schedule import terms_at
from kalshi_platform.storage.storage import Storage

NS = 1_000_000_000
MORE = (*EVENTS, "NEW0", "NEW1")


def add(out, *inputs):
    return add_to_dataset(list(inputs), out, workers=0)


def shard_of(manifest, event, kind="features"):
    return next(s for s in manifest.shards if (s.event, s.kind) == (event, kind))


def test_new_events_join_and_those_that_are_there_keep_split_and_shards(fake, tmp_path):
    first = build(tmp_path / "out")
    fake.events, fake.ran = MORE, []
    found = add(tmp_path / "out")
    assert fake.ran == ["NEW0", "NEW1"]
    assert found.is_new
    assert found.already == tuple(f"{event}.source" for event in EVENTS)
    assert found.manifest == Dataset.open(tmp_path / "out").manifest
    assert found.manifest.parents == (first.digest,)
    assert found.manifest.descends_from(first.digest)
    assert not first.descends_from(found.manifest.digest)
    now = found.manifest.assignments()
    assert {event: now[event] for event in EVENTS} == first.assignments()
    assert found.joined == {event: now[event] for event in ("NEW0", "NEW1")}
    for event in EVENTS:
        assert shard_of(found.manifest, event) == shard_of(first, event)
    assert find_problems(Dataset.open(tmp_path / "out")) == []


def test_a_repeated_add_finds_nothing_new_and_writes_nothing(fake, tmp_path):
    build(tmp_path / "out")
    fake.events = MORE
    grown = add(tmp_path / "out").manifest
    whole, fake.ran = files(tmp_path / "out"), []
    again = add(tmp_path / "out")
    assert (again.is_new, again.manifest, fake.ran) == (False, grown, [])
    assert files(tmp_path / "out") == whole


def test_a_killed_add_leaves_the_old_state_and_is_finished_by_the_same_command(fake, tmp_path):
    first = build(tmp_path / "out")
    build(tmp_path / "unbroken")
    fake.events = MORE
    unbroken = add(tmp_path / "unbroken").manifest
    fake.broken = {"NEW1"}
    with pytest.raises(DataError, match="price 12000"):
        add(tmp_path / "out")
    assert Dataset.open(tmp_path / "out").manifest == first
    assert find_problems(Dataset.open(tmp_path / "out")) == []
    fake.broken, fake.ran = set(), []
    assert add(tmp_path / "out").manifest == unbroken
    assert fake.ran == ["NEW1"]
    assert files(tmp_path / "out") == files(tmp_path / "unbroken")


def test_a_kill_before_the_manifest_leaves_the_old_state_whole(fake, tmp_path, monkeypatch):
    first = build(tmp_path / "out")
    write_bytes = Storage.write_bytes_atomic

    def killed(self, path, data):
        if path == MANIFEST_NAME:
            raise KeyboardInterrupt
        write_bytes(self, path, data)

    fake.events = MORE
    with monkeypatch.context() as patch:
        patch.setattr(Storage, "write_bytes_atomic", killed)
        with pytest.raises(KeyboardInterrupt):
            add(tmp_path / "out")
    assert Dataset.open(tmp_path / "out").manifest == first
    assert find_problems(Dataset.open(tmp_path / "out")) == []
    assert add(tmp_path / "out").manifest.parents == (first.digest,)


def test_a_dataset_of_another_feature_table_does_not_grow(fake, tmp_path, monkeypatch):
    build(tmp_path / "out")
    monkeypatch.setattr(grow_module, "FEATURE_DIGEST", "0" * 12)
    with pytest.raises(DataError, match="has 000000000000: add with the version that made it, or build all"):
        add(tmp_path / "out")


def test_where_no_dataset_is_nothing_is_made(tmp_path):
    with pytest.raises(DataError, match="no complete dataset"):
        add(tmp_path / "nothing", tmp_path)
    assert not (tmp_path / "nothing").exists()


# --- with real files: two days of the same markets


def quotes(tmp_path, name, tickers, seconds):
    rows = [quote(t, s, 4_000 + 100 * (s % 7), 5_000) for s in seconds for t in tickers]
    return write(tmp_path / name, sorted(rows, key=lambda row: (row["market_ticker"], row["recv_ts_ms"])))


def made(tmp_path, *inputs, name="set", **settings):
    return build_dataset(list(inputs), tmp_path / name, BuildConfig(workers=0, **settings))


DAY_1, DAY_2 = [f"E{i}-A" for i in range(6)], [f"E{i}-{m}" for i in range(4, 9) for m in "AB"]


def test_two_days_added_are_the_rows_and_features_of_both_built_at_once(tmp_path):
    one = quotes(tmp_path, "one.parquet", DAY_1, range(20))
    two = quotes(tmp_path, "two.parquet", DAY_2, range(100, 130))
    first = made(tmp_path, one)
    found = add(tmp_path / "set", two)
    together = made(tmp_path, one, two, name="both")
    assert found.grown == ("E4", "E5")
    assert set(found.joined) == {"E6", "E7", "E8"}

    def content(manifest):
        return {(s.kind, s.event): s.sha256 for s in manifest.shards}

    assert content(found.manifest) == content(together)
    assert {m.ticker: m.n_rows for m in found.manifest.markets} == {
        m.ticker: m.n_rows for m in together.markets
    }
    assert found.manifest.counters == together.counters
    splits = found.manifest.assignments()
    assert all(splits[event] == split for event, split in first.assignments().items())
    # A market that came on the second day is where its event was on the first.
    assert {m.split for m in found.manifest.markets if m.event == "E4"} == {first.assignments()["E4"]}


def test_the_state_before_stays_readable_until_the_next_growth(tmp_path):
    made(tmp_path, quotes(tmp_path, "one.parquet", DAY_1, range(20)))
    opened = Dataset.open(tmp_path / "set")
    add(tmp_path / "set", quotes(tmp_path, "two.parquet", DAY_2, range(100, 130)))
    assert find_problems(opened) == []
    assert Dataset.open(tmp_path / "set", opened.digest).manifest == opened.manifest
    with pytest.raises(DataError, match=r"dataset 000000000000 is asked for, .* is another one"):
        Dataset.open(tmp_path / "set", "0" * 12)
    second = Dataset.open(tmp_path / "set")
    add(tmp_path / "set", quotes(tmp_path, "three.parquet", ["E4-A"], range(200, 220)))
    assert find_problems(second) == []
    assert find_problems(Dataset.open(tmp_path / "set")) == []
    gone = shard_of(opened.manifest, "E4", "events")
    assert not (tmp_path / "set" / gone.path).exists()
    assert (tmp_path / "set" / shard_of(opened.manifest, "E0", "events").path).exists()


def test_between_two_days_of_whole_books_lies_a_gap(tmp_path):
    def day(name, first):
        rows = [
            book("E-A", first, "start"), book("E-A", first, "level", "yes", 4_000, 500),
            book("E-A", first + 5, "delta", "yes", 4_100, 100),
        ]  # fmt: skip
        return write(tmp_path / name, rows)

    made(tmp_path, day("one.parquet", 0))
    found = add(tmp_path / "set", day("two.parquet", 1_000))
    assert found.manifest.counters["gaps_between_sources"] == 1
    rows = Dataset.open(tmp_path / "set").rows_of("E-A")
    (at,) = [i for i, kind in enumerate(rows.kind) if kind == schema.GAP]
    assert rows.recv_ns[at] == (T0 + 1_000) * NS
    (market,) = found.manifest.markets
    assert (market.n_gaps, market.n_events) == (1, 7)
    assert found.manifest.counters["rows:recorded"] == 7


def metadata(tmp_path, name, *rows):
    path = tmp_path / name
    path.write_text(json.dumps({"markets": [dict(row) for row in rows]}))
    return path


def facts(ticker, result=None, **more):
    row = {"ticker": ticker, "event_ticker": ticker.rpartition("-")[0], "series_ticker": "S", **more}
    return row if result is None else row | {"result": result, "status": "finalized"}


def test_outcomes_that_become_known_later_change_no_feature_and_are_counted(tmp_path):
    known = metadata(tmp_path, "known.json", *(facts(t) for t in DAY_1))
    first = made(tmp_path, quotes(tmp_path, "one.parquet", DAY_1, range(20)), known)
    assert not any(m.settled for m in first.markets)
    early = "2023-11-14T22:13:25Z"  # T0 + 5 s: the other markets could have known it
    later = metadata(tmp_path, "later.json", facts("E0-A", "yes", settlement_ts=early))
    found = add(tmp_path / "set", later)
    assert found.outcomes == ("E0-A",)
    assert found.grown == ()
    dataset = Dataset.open(tmp_path / "set")
    assert dataset.settlements()["E0-A"].value_e4 == 10_000
    assert dataset.entry("E0-A").settled
    for event in first.events():
        assert shard_of(found.manifest, event) == shard_of(first, event)
    assert summarise(dataset).older_outcomes == 5  # all but E0 itself
    assert not add(tmp_path / "set", later).is_new
    # What comes later is built with it, and the count of the others stays.
    again = add(tmp_path / "set", quotes(tmp_path, "two.parquet", ["E1-A"], range(100, 120)))
    assert not next(m for m in again.manifest.markets if m.ticker == "E1-A").older_outcomes
    assert summarise(Dataset.open(tmp_path / "set")).older_outcomes == 4


def test_outcomes_of_the_first_day_are_in_the_features_of_the_second(tmp_path):
    old = facts("OLD-A", "no", settlement_ts="2023-11-14T22:13:00Z", last_price_dollars="0.3000")
    known = metadata(tmp_path, "known.json", old, *(facts(t) for t in (*DAY_1, *DAY_2)))
    one = quotes(tmp_path, "one.parquet", DAY_1, range(20))
    two = quotes(tmp_path, "two.parquet", DAY_2, range(100, 130))
    made(tmp_path, one, known)
    grown = add(tmp_path / "set", two, metadata(tmp_path, "two.json", *(facts(t) for t in DAY_2))).manifest
    together = made(tmp_path, one, two, known, name="both")
    assert {s.sha256 for s in grown.shards if s.kind == "features"} == {
        s.sha256 for s in together.shards if s.kind == "features"
    }


def test_a_fact_that_becomes_known_rebuilds_its_event_alone(tmp_path):
    first = made(tmp_path, quotes(tmp_path, "one.parquet", DAY_1, range(20)))
    told = metadata(tmp_path, "told.json", {"ticker": "E2-A", "event_ticker": "E2", "category": "Climate"})
    found = add(tmp_path / "set", told)
    assert found.grown == ("E2",)
    assert Dataset.open(tmp_path / "set").specs()["E2-A"].category == "Climate"
    assert [
        e for e in first.events() if shard_of(found.manifest, e, "events") != shard_of(first, e, "events")
    ] == []
    assert not add(tmp_path / "set", told).is_new


@pytest.mark.parametrize(
    ("row", "named"),
    [
        (facts("E0-A", "no"), r"later\.json: market E0-A settled at 0, the dataset .*set says 10000"),
        (
            facts("E0-A", event_ticker="F"),
            r"later\.json: market E0-A belongs to event F, the dataset .*set says E0",
        ),
    ],
)
def test_what_contradicts_the_dataset_is_refused_with_both_names(tmp_path, row, named):
    known = metadata(tmp_path, "known.json", facts("E0-A", "yes"))
    first = made(tmp_path, quotes(tmp_path, "one.parquet", DAY_1, range(20)), known)
    with pytest.raises(DataError, match=named):
        add(tmp_path / "set", metadata(tmp_path, "later.json", row))
    assert Dataset.open(tmp_path / "set").manifest == first


def lifecycle(ticker, result):
    msg = {
        "market_ticker": ticker,
        "event_type": "determined",
        "result": result,
        "determination_ts": T0 + 900,
    }
    return {"type": "market_lifecycle_v2", "sid": 9, "seq": 1, "msg": msg}


def test_a_later_frame_alone_tells_how_a_market_ended(tmp_path):
    made(tmp_path, capture(tmp_path / "one.jsonl", [(0, 1, snapshot("E-A", 1)), (1, 1, snapshot("F-A", 2))]))
    end = capture(tmp_path / "two.jsonl", [(900, 2, lifecycle("E-A", "yes"))])
    found = add(tmp_path / "set", end)
    assert found.outcomes == ("E-A",)
    assert Dataset.open(tmp_path / "set").settlements()["E-A"].value_e4 == 10_000
    assert not add(tmp_path / "set", end).is_new
    other = capture(tmp_path / "three.jsonl", [(950, 3, lifecycle("E-A", "no"))])
    with pytest.raises(DataError, match=r"three\.jsonl: market E-A settled at 0, .*events/E\..* says 10000"):
        add(tmp_path / "set", other)


def weather(tmp_path, name, hours):
    """Quotes of one event an hour, each of 20 seconds, and metadata that make them one factor."""
    rows = [
        quote(f"W{hour}-A", hour * 3_600 + s, 4_000 + 100 * (s % 7), 5_000)
        for hour in hours
        for s in range(20)
    ]
    known = [
        {"ticker": f"W{hour}-A", "event_ticker": f"W{hour}", "category": "Climate and Weather"}
        for hour in hours
    ]
    return write(tmp_path / f"{name}.parquet", rows), metadata(tmp_path, f"{name}.json", *known)


def test_an_event_does_not_grow_across_a_cut_and_a_left_out_one_stays_out(tmp_path):
    # Blocks of 15 minutes, one event each hour: the embargo of 40 minutes takes W10 alone out.
    cut = SplitConfig(time_cut_ns=(T0 + 10 * 3_600) * NS, embargo_ns=2_400 * NS)
    first = made(tmp_path, *weather(tmp_path, "one", range(16)), split=cut)
    assert (first.assignments()["W9"], first.assignments()["W10"]) == ("train", None)
    assert first.assignments()["W11"] == "validation"
    found = add(
        tmp_path / "set",
        quotes(tmp_path, "two.parquet", ["W9-A", "W10-A"], range(20 * 3_600, 20 * 3_600 + 20)),
        quotes(tmp_path, "three.parquet", ["W1-A"], range(3_630, 3_650)),
    )
    assert found.grown == ("W1",)
    assert found.manifest.counters["markets_not_grown_across_time_cut"] == 1
    assert found.manifest.left_out == ("W10",)
    assert shard_of(found.manifest, "W9") == shard_of(first, "W9")
    assert next(m for m in found.manifest.markets if m.ticker == "W9-A").last_ns < cut.time_cut_ns


def test_blocks_and_cuts_stay_when_a_recorded_dataset_grows(tmp_path):
    first = made(tmp_path, *weather(tmp_path, "one", range(30)))
    assert {m.split for m in first.markets} == {"train", "validation", "test"}
    found = add(tmp_path / "set", *weather(tmp_path, "two", (40, 41)))
    was, now = ({m.event: (m.split, m.block) for m in s.markets} for s in (first, found.manifest))
    assert {event: now[event] for event in was} == was
    assert {now["W40"][0], now["W41"][0]} == {"test"}
    (stratum,), (grown,) = first.strata, found.manifest.strata
    assert grown == stratum.replace(last_ns=grown.last_ns)
    assert find_problems(Dataset.open(tmp_path / "set")) == []
    assert not add(tmp_path / "set", *weather(tmp_path, "two", (40, 41))).is_new


def test_events_beside_the_new_rows_of_one_that_grew_join_its_stratum(tmp_path):
    first = made(tmp_path, *weather(tmp_path, "one", range(2)))
    assert first.strata[0].undivided == "fewer_than_3_blocks"
    more = quotes(tmp_path, "more.parquet", ["W1-A"], range(90 * 3_600, 90 * 3_600 + 20))
    grown = add(tmp_path / "set", more).manifest
    (stratum,) = grown.strata
    assert stratum.last_ns == next(m.last_ns for m in grown.markets if m.ticker == "W1-A")
    assert stratum.long == ("W1",)
    # W1 is judged only, so what it meets in time must not teach: 40 to 70 lie inside of its life.
    found = add(tmp_path / "set", *weather(tmp_path, "two", range(40, 70)))
    assert set(found.joined.values()) == {"judge_only"}
    assert find_problems(Dataset.open(tmp_path / "set")) == []


def test_a_dataset_from_before_blocks_grows_by_its_own_rules(tmp_path):
    made(tmp_path, *weather(tmp_path, "one", range(30)))
    path = tmp_path / "set" / MANIFEST_NAME
    old = json.loads(v1_text(Dataset.open(tmp_path / "set").manifest))
    del old["strata"]
    for number, market in enumerate(old["markets"]):
        del market["block"]
        market["split"] = ("train", "validation", "test")[number % 3]
    path.write_text(json.dumps(old))
    before = Dataset.open(tmp_path / "set").manifest
    found = add(tmp_path / "set", *weather(tmp_path, "two", (40, 41)))
    assert all(m.block is None for m in found.manifest.markets)
    assert {e: found.manifest.assignments()[e] for e in before.events()} == before.assignments()
    assert [s.name for s in summarise(Dataset.open(tmp_path / "set")).strata] == [
        "by event, before blocks were kept"
    ]


def test_a_dataset_of_an_earlier_version_grows_and_its_events_stay_where_they_were(tmp_path):
    one = quotes(tmp_path, "one.parquet", DAY_1, range(20))
    made(tmp_path, one)
    path = tmp_path / "set" / MANIFEST_NAME
    old = json.loads(v1_text(Dataset.open(tmp_path / "set").manifest))
    del old["imported"]
    for market in old["markets"]:
        del market["n_segments"], market["grid_declared"]
    path.write_text(json.dumps(old))
    first = Dataset.open(tmp_path / "set").manifest
    two = quotes(tmp_path, "two.parquet", ["E0-A", "X-A"], range(100, 120))
    found = add(tmp_path / "set", one, two)
    assert found.manifest.parents == (first.digest,)
    assert {e: found.manifest.assignments()[e] for e in first.events()} == first.assignments()
    together = made(tmp_path, one, two, name="both")  # the file that was there is not there twice
    assert shard_of(found.manifest, "E0", "events").sha256 == shard_of(together, "E0", "events").sha256


def test_another_writer_in_between_is_noticed(tmp_path, monkeypatch):
    made(tmp_path, quotes(tmp_path, "one.parquet", DAY_1, range(20)))
    keep = grow_module.keep_state

    def meanwhile(storage, old):
        keep(storage, old)
        old.replace(sources=("other",)).write(storage)

    monkeypatch.setattr(grow_module, "keep_state", meanwhile)
    with pytest.raises(ContractError, match="repeat this command"):
        add(tmp_path / "set", quotes(tmp_path, "two.parquet", DAY_2, range(100, 120)))


def test_trades_joined_on_the_first_day_stay_once_where_books_and_trades_of_a_second_day_come(tmp_path):
    """A book of quotes with the trades of another file beside it: no print is lost, doubled or moved."""

    def day(name, first):
        book_file = quotes(tmp_path, f"q{name}.parquet", ["E-A"], range(first, first + 40))
        prints = [trade("E-A", first + s, 4_200 + 100 * s, 100 + s) for s in range(5, 9)]
        return book_file, write(tmp_path / f"t{name}.parquet", prints)

    first = made(tmp_path, *day(1, 0))
    before = Dataset.open(tmp_path / "set").rows_of("E-A")
    assert [(j.prints, j.measured) for j in first.joined] == [(4, False)]
    add(tmp_path / "set", *day(2, 1_000))
    after = Dataset.open(tmp_path / "set").rows_of("E-A")
    joined = (after.flags & schema.FLAG_JOINED) != 0
    assert joined.sum() == 8
    assert sorted(after.qty_e2[joined].tolist()) == sorted([*range(105, 109), *range(105, 109)])
    assert (after.recv_ns[joined] > after.exch_ns[joined]).all()
    n = before.recv_ns.size
    for name in ("recv_ns", "kind", "price_e4", "qty_e2", "flags"):
        assert getattr(after, name)[:n].tolist() == getattr(before, name).tolist(), name
    (entry,) = Dataset.open(tmp_path / "set").manifest.markets
    assert entry.joined.prints == 8
    # The first day's trades once more, in a file that overlaps the second: each is there already.
    again = [trade("E-A", s, 4_200 + 100 * s, 100 + s) for s in range(5, 9)]
    more = [trade("E-A", 2_000, 5_500, 999)]
    add(tmp_path / "set", write(tmp_path / "t3.parquet", [*again, *more]))
    last = Dataset.open(tmp_path / "set").rows_of("E-A")
    assert sorted(last.qty_e2[(last.flags & schema.FLAG_JOINED) != 0].tolist()) == sorted(
        [*range(105, 109), *range(105, 109), 999]
    )


def test_prints_of_a_second_day_follow_those_of_the_first(tmp_path):
    one = write(tmp_path / "one.parquet", [trade("E-A", s, 4_000 + s, 100 + s) for s in range(0, 500, 100)])
    two = write(tmp_path / "two.parquet", [trade("E-A", s, 4_000, 100) for s in range(600, 900, 100)])
    made(tmp_path, one)
    add(tmp_path / "set", two)
    assert Dataset.open(tmp_path / "set").rows_of("E-A").recv_ns.size == 8


def event(seq, kind, **more):
    msg = {"market_ticker": "E-A", "event_type": kind, **more}
    return {"type": "market_lifecycle_v2", "sid": 9, "seq": seq, "msg": msg}


def test_facts_that_become_known_on_the_second_day_are_not_known_on_the_first(tmp_path):
    day = 86_400
    one = capture(tmp_path / "one.jsonl", [
        (0, 1, snapshot("E-A", 1)),
        (1, 1, event(1, "activated", close_ts=T0 + 5 * day)),
        (2, 1, snapshot("E-A", 2, yes="0.4100")),
        (3, 1, event(2, "close_date_updated", close_ts=T0 + 3 * day)),
        (4, 1, snapshot("E-A", 3, yes="0.4200")),
        (5, 1, event(3, "close_date_updated", close_ts=T0 + 4 * day)),  # told after the last row
    ])  # fmt: skip
    two = capture(tmp_path / "two.jsonl", [
        (day, 2, snapshot("E-A", 1)),
        (day + 1, 2, event(1, "close_date_updated", close_ts=T0 + day + 60)),
        (day + 2, 2, snapshot("E-A", 2, yes="0.4300")),
        (day + 60, 2, event(2, "determined", result="yes", determination_ts=T0 + day + 60)),
    ])  # fmt: skip
    made(tmp_path, one)
    before = Dataset.open(tmp_path / "set")
    ((_, rows),) = read_rows(before, "E")
    add(tmp_path / "set", two)
    after = Dataset.open(tmp_path / "set")
    ((_, grown),) = read_rows(after, "E")
    n = rows.recv_ns.size
    assert grown.recv_ns[:n].tolist() == rows.recv_ns.tolist()
    assert grown.features[:n].tobytes() == rows.features.tobytes()
    known = after.histories()["E-A"].known
    at = {
        int(ns) // NS - T0: known[step].close_ns for ns, step in zip(grown.recv_ns, grown.known, strict=True)
    }
    assert at[0] is None
    assert at[2] == (T0 + 5 * day) * NS
    assert at[4] == (T0 + 3 * day) * NS
    assert at[day] == (T0 + 4 * day) * NS  # from the frame after the first day's last book
    assert at[day + 2] == (T0 + day + 60) * NS
    assert after.histories()["E-A"].close_ns == (T0 + day + 60) * NS
    assert after.settlements()["E-A"].value_e4 == 10_000
    assert before.histories()["E-A"].close_ns == (T0 + 4 * day) * NS


def series_document(path, multiplier):
    document = {"series": {"ticker": "S", "fee_type": "quadratic", "fee_multiplier": multiplier}}
    path.write_text(json.dumps(document))
    return path


def override(second, multiplier):
    msg = {"event_ticker": "E", "fee_type_override": "quadratic", "fee_multiplier_override": multiplier}
    return second, 1, {"type": "event_fee_update", "sid": 3, "seq": second, "msg": msg}


def multiplier_at(dataset, second):
    return terms_at(dataset.histories()["E-A"].fees, (T0 + second) * NS).fee_multiplier_e6


def test_fees_of_the_first_day_are_kept_and_joined_by_those_of_the_second_as_in_one_build(tmp_path):
    """Series at half the fee, the event at a quarter from second 5, at an eighth from second 105."""
    table = write(tmp_path / "m.parquet", [meta("E-A", "E", open_time="2023-11-14T00:00:00Z")])
    series = series_document(tmp_path / "series.json", 0.5)
    one = capture(tmp_path / "one.jsonl", [(0, 1, snapshot("E-A", 1)), override(5, 0.25)])
    two = capture(tmp_path / "two.jsonl", [(100, 1, snapshot("E-A", 1)), override(105, 0.125)])
    first = made(tmp_path, table, series, one)
    assert (first.counters["fees:assumed_since_open"], first.markets[0].gap_detection) == (1, "sequence")
    found = add(tmp_path / "set", two)
    grown = Dataset.open(tmp_path / "set")
    assert [multiplier_at(grown, s) for s in (0, 5, 104, 105)] == [500_000, 250_000, 250_000, 125_000]
    assert grown.specs()["E-A"].fee_multiplier_e6 == 500_000  # at the opening, as before
    assert found.manifest.counters["fees:assumed_since_open"] == 1  # one market, counted once
    assert found.manifest.markets[0].gap_detection == "sequence"
    made(tmp_path, table, series, one, two, name="both")
    together = Dataset.open(tmp_path / "both").histories()["E-A"]
    assert grown.histories()["E-A"].fees == together.fees
    assert add(tmp_path / "set", two, table, series).is_new is False


def test_fees_that_metadata_tell_later_reach_the_markets_that_are_there(tmp_path):
    made(tmp_path, capture(tmp_path / "one.jsonl", [(0, 1, snapshot("S-1-A", 1))]))
    ticker, later = "S-1-A", series_document(tmp_path / "later.json", 0.5)
    before = Dataset.open(tmp_path / "set").rows_of(ticker)
    found = add(tmp_path / "set", later)
    now = Dataset.open(tmp_path / "set")
    assert (found.is_new, found.grown) == (True, ("S-1",))
    assert {step.terms.fee_multiplier_e6 for step in now.histories()[ticker].fees} == {500_000}
    assert now.specs()[ticker].fee_multiplier_e6 == 500_000
    assert found.manifest.counters["fees:assumed_since_open"] == 1
    assert "fees:assumed" not in found.manifest.counters
    assert now.rows_of(ticker).recv_ns.tolist() == before.recv_ns.tolist()
    assert add(tmp_path / "set", later).is_new is False


def test_a_market_without_gap_detection_is_counted_once(tmp_path):
    frames = [(0, 1, {k: v for k, v in snapshot("E-A", 1).items() if k != "seq"})]
    made(tmp_path, capture(tmp_path / "one.jsonl", frames))
    found = add(tmp_path / "set", capture(tmp_path / "two.jsonl", [(100, 1, snapshot("E-A", 1))]))
    assert found.manifest.markets[0].gap_detection == "none"  # the first day's rows have no numbers
    assert found.manifest.counters["markets_without_gap_detection"] == 1


def test_files_of_a_folder_that_are_no_data_are_named_and_the_price_scale_is_passed_on(tmp_path):
    made(tmp_path, capture(tmp_path / "one.jsonl", [(0, 1, snapshot("E-A", 1))]))
    (tmp_path / "day").mkdir()
    (tmp_path / "day" / "README").write_text("hello")
    capture(tmp_path / "day" / "two.jsonl", [(100, 1, snapshot("E-A", 1, no="0.6000"))])
    skipped = {}
    add_to_dataset(
        [tmp_path / "day"], tmp_path / "set", workers=0, skipped=skipped.update, use_yes_price=True
    )
    assert list(skipped) == [str(tmp_path / "day" / "README")]
    rows = Dataset.open(tmp_path / "set").rows_of("E-A")
    assert rows.price_e4[(rows.kind == schema.SNAPSHOT) & (rows.side == schema.NO)].tolist() == [5_500, 4_000]
