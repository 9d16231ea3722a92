"""A dataset names the worlds of its simulated markets, as their recordings name them, and no others."""

import pyarrow.parquet as pq
import pytest

from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.data.dataset.grow import add_to_dataset
from kalshi_platform.data.dataset.inspect import summarise
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.domain.worlds import OWN_SETTINGS, UNNAMED
from kalshi_platform.simulation.simexchange import SimConfig, preset_of, simulate

CONFIG = SimConfig(n_events=2, messages_per_market=60)


def built(out, *inputs):
    return build_dataset(inputs, out, BuildConfig(workers=0))


@pytest.mark.parametrize("file_format", ["parquet", "capture"])
def test_the_name_goes_from_the_recording_through_the_manifest_to_its_summary(tmp_path, file_format):
    simulate(CONFIG, tmp_path / "sim", file_format=file_format)
    assert built(tmp_path / "out", tmp_path / "sim").worlds == (OWN_SETTINGS,)
    opened = Dataset.open(tmp_path / "out")
    assert opened.manifest.worlds == (OWN_SETTINGS,)
    assert summarise(opened).worlds == (OWN_SETTINGS,)


def unnamed(tmp_path):
    """Folder of a recording that names no world, as releases before wrote them."""
    files = simulate(CONFIG, tmp_path / "old")
    table = pq.read_table(files.events)
    marks = {k: v for k, v in table.schema.metadata.items() if k != b"kalshi_platform.world"}
    pq.write_table(table.replace_schema_metadata(marks), files.events)
    return tmp_path / "old"


def test_a_recording_that_names_none_is_of_an_unnamed_world_and_the_manifest_keeps_its_text(tmp_path):
    manifest = built(tmp_path / "out", unnamed(tmp_path))
    assert manifest.worlds == (UNNAMED,)
    assert b'"worlds"' not in manifest.to_bytes()
    assert not add_to_dataset([tmp_path / "old"], tmp_path / "out", workers=0).is_new


def test_a_dataset_that_grows_by_another_world_names_both(tmp_path):
    built(tmp_path / "out", unnamed(tmp_path))
    short = preset_of("calibrated").replace(n_events=1, min_duration_s=600, max_duration_s=600)
    simulate(short, tmp_path / "new")
    grown = add_to_dataset([tmp_path / "new"], tmp_path / "out", workers=0)
    assert grown.manifest.worlds == ("calibrated", UNNAMED)
    assert Dataset.open(tmp_path / "out").manifest.worlds == grown.manifest.worlds
