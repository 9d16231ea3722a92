"""The page and the terminal's table: sound, whole, and with the same figures as the record."""

import json

import pytest
from made.pages import sound_page
from rich.console import Console

from kalshi_platform.evaluation.realism.compare import compare_datasets
from kalshi_platform.evaluation.realism.page import realism_view, row_texts, verdict, write_realism
from kalshi_platform.evaluation.realism.record import Realism, RealismConfig


@pytest.fixture(scope="module")
def found(world):
    return compare_datasets(
        world, world, ["SIMBKT"], ["SIMBKT-0000", "SIMBKT-0001"], config=RealismConfig(draws=100)
    )


def test_the_page_is_sound_and_shows_every_measure(found, tmp_path):
    html, beside = write_realism(found, tmp_path)
    text = html.read_text()
    tags = sound_page(text, tmp_path)
    assert tags.headings == ["Distances", "Distributions", "Not measured", "Definitions", "How this was made"]
    for each in found.found:
        assert text.count(f'<th scope="row">{each.name}</th>') >= 2  # its distance and its definition
    assert text.count("<figure") == sum(bool(d.curves) for d in found.distributions)
    assert Realism.model_validate(json.loads(beside.read_text())) == found


def test_the_terminal_shows_the_same_figures(found):
    console = Console(width=220)
    with console.capture() as shown:
        console.print(realism_view(found))
    text = shown.get()
    for each in found.found:
        assert each.name in text
        assert row_texts(each)[2] in text
    assert verdict(found) in " ".join(text.split())


def test_the_verdict_counts_distances_within_the_noise(found):
    assert "distances lie within the recorded data's own sampling noise" in verdict(found)
    silent = found.replace(
        distributions=[d.replace(noise=None) for d in found.distributions],
        numbers=[n.replace(noise=None) for n in found.numbers],
    )
    assert "none with a noise to hold it against" in verdict(silent)


def test_a_verdict_on_equal_data_names_no_furthest_measure(world):
    itself = compare_datasets(world, world, config=RealismConfig(draws=100))
    assert "furthest" not in verdict(itself)
