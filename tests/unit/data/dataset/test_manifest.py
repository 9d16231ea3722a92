"""A manifest: what lies where, refused where it contradicts itself."""

import pytest
from made.stored import make_dataset

from kalshi_platform.data.dataset.manifest import MANIFEST_NAME, Manifest, Shard
from kalshi_platform.data.dataset.store import (
    Dataset,
)
from kalshi_platform.domain.errors import ContractError, DataError


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: "{", "no JSON"),
        (
            lambda text: text.replace('"version": 1', '"version": 9'),
            "manifest version 9, this program reads 1",
        ),
        (lambda text: text.replace('"volatility": 0.0', '"volatility": -1.0', 1), r"markets\.0\.volatility"),
        (
            lambda text: text.replace('"split": "train"', '"split": "test"', 1),
            "event EV is in test and train",
        ),
        (lambda text: text.replace('"ticker": "EV-B"', '"ticker": "EV-A"'), "market EV-A is listed twice"),
        (
            lambda text: text.replace('"kind": "features"', '"kind": "events"'),
            "event EV has no features shard",
        ),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(tmp_path, rng, change, message):
    make_dataset(tmp_path, rng)
    path = tmp_path / MANIFEST_NAME
    path.write_text(change(path.read_text()))
    with pytest.raises(DataError, match=rf"{path}: .*{message}|{path}: {message}"):
        Dataset.open(tmp_path)


def test_one_dataset_has_one_text_and_comes_back_from_it(tmp_path, rng):
    _, manifest = make_dataset(tmp_path, rng)
    data = manifest.to_bytes()
    again = Manifest.from_bytes(data, "x")
    assert again == manifest
    assert again.to_bytes() == data
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
        shard[kind].replace(event=event) for event in ("Z", "B", "A") for kind in ("events", "features")
    )
    changed = manifest.replace(markets=markets, shards=shards)
    assert changed.events() == ("A", "B", "Z")
    assert changed.events("train") == ("A", "Z")
    assert changed.events("validation") == ()


@pytest.mark.parametrize("sha256", ["", "0" * 63, "G" * 64])
def test_a_checksum_that_is_none_is_refused_by_field(sha256):
    with pytest.raises(ContractError, match=r"Shard\.sha256"):
        Shard.parse({"path": "x", "kind": "events", "sha256": sha256, "n_bytes": 1})


def test_fields_that_say_nothing_are_not_written_so_that_older_manifests_keep_their_digest(tmp_path, rng):
    _, manifest = make_dataset(tmp_path, rng)
    text = manifest.to_bytes().decode()
    silent = ("gap_detection", "n_segments", "grid_declared", "older_outcomes", "imported", "left_out")
    for name in (*silent, "parents", "joined"):
        assert name not in text
    market = manifest.markets[0].replace(n_segments=0, grid_declared=False, gap_detection="none")
    told = manifest.replace(markets=(market, *manifest.markets[1:]), parents=("a" * 12,))
    assert told.digest != manifest.digest
    assert Manifest.from_bytes(told.to_bytes(), "x") == told
    assert not told.markets[0].is_playable
    assert manifest.markets[0].is_playable  # nobody counted


def test_assignments_hold_left_out_events_too_and_no_event_twice(tmp_path, rng):
    _, manifest = make_dataset(tmp_path, rng)
    assert manifest.replace(left_out=("X",)).assignments() == {"EV": "train", "X": None}
    with pytest.raises(ContractError, match="event EV is in train and left out"):
        manifest.replace(left_out=("EV",))


def test_notes_are_kept_and_change_nothing_where_there_are_none(tmp_path, rng):
    _, manifest = make_dataset(tmp_path, rng)
    assert b'"notes"' not in manifest.to_bytes()
    assert "notes" not in manifest.model_dump(mode="json")  # nor in the digest, which is made of this
    noted = manifest.replace(notes=("put aside: f.parquet: row 7",))
    assert Manifest.from_bytes(noted.to_bytes(), "m").notes == noted.notes
