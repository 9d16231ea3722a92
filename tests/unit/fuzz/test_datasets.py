"""Fuzz targets: a dataset with a damaged manifest, table or shard, sealed anew or not.

Unsealed  bytes differ from the digest that names them: refused, or not read.
Sealed    the digest was made anew: refused by the dataset's name, or its rows equal those that were written.
"""

import hashlib
import json
import shutil

import numpy as np
from made.fuzzing import FindingError, check_words, fuzz, refusal
from made.mutations import odd_bytes, odd_text
from made.stored import make_dataset

from kalshi_platform.data.dataset.inspect import find_problems, summarise
from kalshi_platform.data.dataset.manifest import MANIFEST_NAME
from kalshi_platform.data.dataset.store import Dataset


def test_datasets(place):
    sound, folder = place / "sound", place / "ds"
    rows, _ = make_dataset(sound, np.random.default_rng(5))
    contents = {str(p.relative_to(sound)): p.read_bytes() for p in sorted(sound.rglob("*")) if p.is_file()}

    def one(rng):
        shutil.copytree(sound, folder)
        try:
            name = rng.choice([*contents, MANIFEST_NAME, MANIFEST_NAME])
            before = contents[name]
            is_text = name == MANIFEST_NAME and rng.randrange(4)
            data = odd_text(rng, json.loads(before)) if is_text else odd_bytes(rng, before)
            (folder / name).write_bytes(data)
            if name != MANIFEST_NAME and rng.randrange(3):
                reseal(folder, before, data)
            return refusal(lambda: look(folder, rows), "ds")
        finally:
            shutil.rmtree(folder)

    counts = fuzz("datasets", 250, one)
    assert counts["refused"]
    assert counts["taken"]


def reseal(folder, before, data):
    """Make the manifest's digests those of the damaged file."""
    path = folder / MANIFEST_NAME
    text = path.read_text().replace(hashlib.sha256(before).hexdigest(), hashlib.sha256(data).hexdigest())
    path.write_text(text.replace(f": {len(before)}", f": {len(data)}"))


def look(folder, rows):
    """Read all that info, verify, training and growing read of a dataset."""
    dataset = Dataset.open(folder)
    entries = list(dataset.entries(None))
    specs, settlements = dict(dataset.specs()), dict(dataset.settlements())
    dataset.histories()
    dataset.records()
    if not settlements.keys() <= specs.keys():
        raise FindingError("an outcome of a market without a specification")
    for entry in entries:
        found = dataset.rows_of(entry.ticker)
        if entry.ticker in rows and any(
            not np.array_equal(a, b) for a, b in zip(found, rows[entry.ticker], strict=True)
        ):
            check_rows(found, entry.ticker)
    summarise(dataset)
    for problem in find_problems(dataset):
        check_words(problem)


def check_rows(rows, ticker):
    """Refuse rows that no kernel may see."""
    if ((rows.price_e4 < -1) | (rows.price_e4 > 10_000)).any() or (rows.kind > 7).any():
        raise FindingError(f"{ticker}: rows outside the format were read")
    if ((rows.side > 1) & (rows.side != 255)).any() or (np.diff(rows.recv_ns) < 0).any():
        raise FindingError(f"{ticker}: sides or times outside the format were read")
