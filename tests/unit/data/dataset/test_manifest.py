"""A manifest: what lies where, refused where it contradicts itself."""

import json

import pytest
from made.stored import make_dataset, v1_text

from kalshi_platform.data.dataset.blocks import Stratum
from kalshi_platform.data.dataset.inspect import summarise
from kalshi_platform.data.dataset.manifest import MANIFEST_NAME, JoinedFiles, Manifest, Shard
from kalshi_platform.data.dataset.store import (
    Dataset,
)
from kalshi_platform.domain.config import digest_of
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.storage.storage import open_storage


def without_features(values):
    """JSON of a manifest that lists no shard of features."""
    return json.dumps(values | {"shards": [s for s in values["shards"] if s["kind"] != "features"]})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: "{", "no JSON"),
        (
            lambda text: text.replace('"version": 1', '"version": 9'),
            "manifest version 9, this program reads 1 and 2",
        ),
        (lambda text: text.replace('"volatility": 0.0', '"volatility": -1.0', 1), r"markets\.0\.volatility"),
        (
            lambda text: text.replace('"split": "train"', '"split": "test"', 1),
            "event EV is in test and train",
        ),
        (lambda text: text.replace('"ticker": "EV-B"', '"ticker": "EV-A"'), "market EV-A is listed twice"),
        (
            lambda text: text.replace('"kind": "features"', '"kind": "events"'),
            "event EV has two events shards: events/EV.* features/f/EV",
        ),
        (
            lambda text: text.replace('"kind": "features"', '"kind": "markets"'),
            "of event EV is of kind markets",
        ),
        (lambda text: text.replace('"n_gaps": 0', f'"n_gaps": {2**70}', 1), "int too big"),
        (lambda text: text.replace('"ticker": "EV-B"', '"ticker": "\\ud800"'), "surrogates not allowed"),
        (lambda text: "[" * 100_000, "no JSON"),
        (lambda text: without_features(json.loads(text)), "event EV has no features shard"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(tmp_path, rng, change, message):
    _, manifest = make_dataset(tmp_path, rng)
    path = tmp_path / MANIFEST_NAME
    path.write_text(change(v1_text(manifest)))
    with pytest.raises(DataError, match=rf"{path}: .*{message}|{path}: {message}"):
        Dataset.open(tmp_path)


def test_one_dataset_has_one_text_and_comes_back_from_it(tmp_path, rng):
    _, manifest = make_dataset(tmp_path, rng)
    again = Manifest.read(open_storage(tmp_path))
    assert again == manifest
    assert again.to_bytes() == manifest.to_bytes() == (tmp_path / MANIFEST_NAME).read_bytes()
    assert again.digest == manifest.digest
    assert manifest.replace(sources=("b.parquet",)).digest != manifest.digest


def test_events_are_listed_once_sorted_and_by_split(tmp_path, rng):
    _, manifest = make_dataset(tmp_path, rng)
    market, shard = manifest.markets[0], {s.kind: s for s in manifest.shards}
    markets = tuple(
        market.replace(ticker=f"{event}-{n}", event=event, split=split)
        for event, split in (("Z", "train"), ("B", "test"), ("A", "train"))
        for n in range(2)
    )
    shards = tuple(
        shard[kind].replace(event=event, path=shard[kind].path.replace("/EV.", f"/{event}."))
        for event in ("Z", "B", "A")
        for kind in ("events", "features")
    )
    changed = manifest.replace(markets=markets, shards=shards)
    assert changed.events() == ("A", "B", "Z")
    assert changed.events("train") == ("A", "Z")
    assert changed.events("validation") == ()


@pytest.mark.parametrize("sha256", ["", "0" * 63, "G" * 64])
def test_a_checksum_that_is_none_is_refused_by_field(sha256):
    with pytest.raises(ContractError, match=r"Shard\.sha256"):
        Shard.parse({"path": "x", "kind": "events", "sha256": sha256, "n_bytes": 1})


def test_a_manifest_of_version_1_keeps_its_digest_and_its_bytes_and_says_the_same(tmp_path, rng):
    _, manifest = make_dataset(tmp_path, rng)
    text = v1_text(manifest)
    (tmp_path / MANIFEST_NAME).write_text(text)
    for name in ("gap_detection", "n_segments", "grid_declared", "older_outcomes", "imported", "left_out"):
        assert name not in text
    old = Dataset.open(tmp_path)
    assert old.digest == digest_of(json.loads(text)) != manifest.digest
    assert old.manifest.to_bytes() == text.encode()
    assert (old.manifest, old.manifest.version, old.manifest.tables) == (manifest, 1, ())
    grown = old.manifest.replace(parents=(old.digest,))
    assert (grown.version, grown.parents, len(grown.tables)) == (2, (old.digest,), 3)


def test_every_field_of_a_market_comes_back_from_its_column(tmp_path, rng):
    _, manifest = make_dataset(tmp_path, rng)
    joined = JoinedFiles(files="a+b", markets=1, prints=7, delay_ns=5, measured=True)
    told = {"n_segments": 0, "grid_declared": False, "gap_detection": "none", "older_outcomes": True}
    markets = [
        manifest.markets[0].replace(**told, joined=joined, block="w@1"),
        manifest.markets[1].replace(block="w@1"),
    ]
    stratum = Stratum(
        name="w", factor="w", provenances=("recorded",), block_ns=1, embargo_ns=1, first_ns=1, last_ns=2,
        left_out=("X",), long=("EV",),
    )  # fmt: skip
    changed = manifest.replace(
        markets=markets, parents=("a" * 12,), joined=(joined,), left_out=("X",), strata=(stratum,)
    )
    changed.write(open_storage(tmp_path))
    again = Manifest.read(open_storage(tmp_path))
    assert list(again.markets) == markets
    assert again == changed != manifest
    assert (again.joined, again.strata, again.left_out) == ((joined,), (stratum,), ("X",))
    assert not again.markets[0].is_playable
    assert again.markets[1].is_playable  # nobody counted
    assert again.markets[-1:] == markets[1:]
    assert again.markets.is_playable.tolist() == [False, True]


def test_assignments_hold_left_out_events_too_and_no_event_twice(tmp_path, rng):
    _, manifest = make_dataset(tmp_path, rng)
    assert manifest.replace(left_out=("X",)).assignments() == {"EV": "train", "X": None}
    with pytest.raises(ContractError, match="event EV is in train and left out"):
        manifest.replace(left_out=("EV",))


def test_notes_and_counters_are_part_of_the_digest(tmp_path, rng):
    _, manifest = make_dataset(tmp_path, rng)
    noted = manifest.replace(notes=("put aside: f.parquet: row 7",))
    assert noted.digest != manifest.digest
    noted.write(open_storage(tmp_path))
    assert Manifest.read(open_storage(tmp_path)).notes == noted.notes


def test_shards_of_another_feature_table_are_not_taken_for_those_of_this_one(tmp_path, rng):
    _, manifest = make_dataset(tmp_path, rng)
    with pytest.raises(ContractError, match=r"features/f/EV\..* is not named features/other/EV\."):
        manifest.replace(feature_digest="other")


def test_a_manifest_without_a_market_has_no_figures(tmp_path, rng):
    _, manifest = make_dataset(tmp_path, rng)
    manifest.replace(markets=()).write(open_storage(tmp_path))
    with pytest.raises(DataError, match="its manifest lists no market; build it again"):
        summarise(Dataset.open(tmp_path))
