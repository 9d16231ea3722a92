"""From files to a dataset, as a user does it: with Ray, through kill -9, and on the recorded data."""

import os
import signal
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.data.dataset.inspect import find_problems
from kalshi_platform.data.dataset.shard import read_rows
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.domain.errors import DataError

N_EVENTS = 24
#: Small enough that every event is a job of its own.
SMALL_JOBS = 100

BUILD = (
    "import sys\n"
    "from pathlib import Path\n"
    "from kalshi_platform.data.dataset.build import BuildConfig, build_dataset\n"
    f"build_dataset([Path(sys.argv[1])], sys.argv[2], BuildConfig(workers=0, rows_a_job={SMALL_JOBS}))\n"
)

#: The same, killed where the shards of a fourth job are written and its record is not.
KILLED = (
    "import os, signal\n"
    "from kalshi_platform.data.dataset.journal import Journal\n"
    "write, records = Journal.write, []\n"
    "def killed(self, job):\n"
    "    if len(records) == 3:\n"
    "        os.kill(os.getpid(), signal.SIGKILL)\n"
    "    write(self, job)\n"
    "    records.append(job)\n"
    "Journal.write = killed\n"
    f"{BUILD}"
)

#: The same with a Ray of its own, which has started before this process does a job; it counts who did them.
BESIDE_RAY = (
    "import sys\n"
    "from pathlib import Path\n"
    "from kalshi_platform.data.dataset import runner\n"
    "from kalshi_platform.data.dataset.build import BuildConfig, build_dataset\n"
    "start, give = runner._RayStart.ray, runner._Crew.give\n"
    "there = []\n"
    "runner._RayStart.ray = lambda self, wait: start(self, True)\n"
    "def counted(self, waiting):\n"
    "    before = len(waiting)\n"
    "    give(self, waiting)\n"
    "    there.extend([1] * (before - len(waiting)))\n"
    "runner._Crew.give = counted\n"
    f"build_dataset([Path(sys.argv[1])], sys.argv[2], BuildConfig(workers=2, rows_a_job={SMALL_JOBS}))\n"
    "print(len(there))\n"
)


@pytest.fixture(scope="module")
def trades(tmp_path_factory):
    """A trade file as the importer reads it: 24 events of 4 markets, a row group an event."""
    path = tmp_path_factory.mktemp("recording") / "trades.parquet"
    rng = np.random.default_rng([2, 24])
    columns = {"ts_us": pa.int64(), "market_ticker": pa.string(), "yes_price_e4": pa.int32()}
    schema = pa.schema([*columns.items(), ("count_e2", pa.int64()), ("taker_side", pa.string())])
    with pq.ParquetWriter(path, schema) as writer:
        for event in range(N_EVENTS):
            writer.write_table(_trades_of(event, rng, schema))
    return path


def _trades_of(event, rng, schema):
    n = SMALL_JOBS
    columns = [
        1_700_000_000_000_000 + event * 86_400_000_000 + np.sort(rng.integers(0, 10**10, n)),
        [f"EV-{event:02}-{market}" for market in rng.integers(0, 4, n)],
        (rng.integers(1, 100, n) * 100).astype(np.int32),
        rng.integers(1, 100, n) * 100,
        np.array(["yes", "no"])[rng.integers(0, 2, n)],
    ]
    return pa.Table.from_arrays([pa.array(c) for c in columns], schema=schema)


@pytest.fixture(scope="module")
def unbroken(trades, tmp_path_factory):
    out = tmp_path_factory.mktemp("unbroken") / "set"
    build_dataset([trades], out, BuildConfig(workers=0, rows_a_job=SMALL_JOBS))
    return out


def files(root):
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and ".build" not in path.parts
    }


def n_finished(out):
    folder = out / ".build"
    return len(list(folder.glob("*.json"))) if folder.exists() else 0


def test_a_build_killed_in_the_middle_is_finished_by_the_same_command(trades, unbroken, tmp_path):
    out = tmp_path / "set"
    first = subprocess.run([sys.executable, "-c", KILLED, str(trades), str(out)], check=False)
    assert first.returncode == -signal.SIGKILL
    assert n_finished(out) == 3
    with pytest.raises(DataError, match=r"has no manifest\.json"):
        Dataset.open(out)
    records = {path.name: path.stat().st_mtime_ns for path in (out / ".build").glob("*.json")}
    subprocess.run([sys.executable, "-c", BUILD, str(trades), str(out)], check=True)
    assert files(out) == files(unbroken)
    assert n_finished(out) == N_EVENTS
    for name, written_ns in records.items():
        assert (out / ".build" / name).stat().st_mtime_ns == written_ns, "a finished job was done again"


@pytest.mark.ray
def test_ray_workers_change_no_byte(trades, unbroken, tmp_path, ray_runtime):
    out = tmp_path / "set"
    build_dataset([trades], out, BuildConfig(workers=2, rows_a_job=SMALL_JOBS))
    assert files(out) == files(unbroken)


@pytest.mark.ray
def test_a_process_beside_the_ray_it_started_changes_no_byte(trades, unbroken, tmp_path):
    out = tmp_path / "set"
    command = [sys.executable, "-c", BESIDE_RAY, str(trades), str(out)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert files(out) == files(unbroken)
    assert 0 < int(done.stdout) < N_EVENTS  # Ray did some of the jobs, this process the others


def spoiled(trades, path, name, value):
    """The trades with one value of row 1234 replaced, written to ``path``."""
    table = pq.read_table(trades)
    place, column = table.column_names.index(name), table.column(name).to_pylist()
    column[1_234] = value
    kind = table.schema.field(name).type
    pq.write_table(table.set_column(place, name, pa.array(column, kind)), path, row_group_size=SMALL_JOBS)
    return path


@pytest.mark.ray
def test_a_price_that_cannot_be_is_put_aside_in_a_worker_and_counted(trades, unbroken, tmp_path, ray_runtime):
    odd = spoiled(trades, tmp_path / "odd.parquet", "yes_price_e4", 12_000)
    manifest = build_dataset([odd], tmp_path / "set", BuildConfig(workers=2, rows_a_job=SMALL_JOBS))
    assert manifest.counters["rows_refused:price_outside"] == 1
    whole = Dataset.open(unbroken).manifest.counters["rows:trade_implied"]
    assert manifest.counters["rows:trade_implied"] == whole - 1


@pytest.mark.ray
def test_a_row_refused_in_a_worker_is_the_users_message(trades, tmp_path, ray_runtime):
    bad = spoiled(trades, tmp_path / "bad.parquet", "taker_side", "maybe")
    with pytest.raises(DataError, match=r"bad\.parquet: row 1234, .*'maybe'") as refused:
        build_dataset([bad], tmp_path / "set", BuildConfig(workers=2, rows_a_job=SMALL_JOBS))
    assert type(refused.value) is DataError
    assert not (tmp_path / "set" / "manifest.json").exists()


@pytest.mark.recorded
def test_captures_and_level_2_days_become_a_dataset(recorded_data, tmp_path):
    inputs = [recorded_data / name for name in ("captures", "events", "markets.parquet")]
    manifest = build_dataset(inputs, tmp_path / "set", BuildConfig(workers=0))
    dataset = Dataset.open(tmp_path / "set")
    assert find_problems(dataset) == []
    assert {m.provenance for m in manifest.markets} == {"recorded"}
    # Two days of the S&P, minutes of sports and of crypto: nothing that could be divided.
    assert {m.split for m in manifest.markets} == {"judge_only"}
    assert all(stratum.undivided for stratum in manifest.strata)
    for event in manifest.events():
        for _, rows in read_rows(dataset, event):
            assert np.isfinite(rows.features).all()


def test_a_process_without_room_for_its_files_leaves_no_dataset(trades, tmp_path):
    # ulimit -f: no file may grow beyond 2 kB, so the first larger shard is refused by the kernel.
    script = f"ulimit -f 2; exec {sys.executable} -c '{BUILD}' {trades} {tmp_path / 'set'}"
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 1
    assert "StorageError: cannot write" in done.stderr
    assert not (tmp_path / "set" / "manifest.json").exists()
    assert not list((tmp_path / "set").rglob("*.partial"))
