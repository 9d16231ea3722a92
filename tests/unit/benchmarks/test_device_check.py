"""The check of a GPU, with devices and measures that the test says."""

import importlib.util
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"


@pytest.fixture(scope="module")
def checker():
    spec = importlib.util.spec_from_file_location("device_check", BENCHMARKS / "device_check.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        before = set(sys.modules)
        spec.loader.exec_module(module)
    for name in set(sys.modules) - before:
        if name in ("training_input", "device_check"):
            del sys.modules[name]
    return module


def test_every_level_is_measured_on_both_and_shown_side_by_side(checker):
    asked, said = [], []

    def measure(level, device):
        asked.append((level, device))
        return {"cpu": 1_000.0, "cuda": 2_500.0}[device]

    assert checker.check(["tiny", "complex"], ["cpu", "cuda"], measure, said.append) == 0
    assert asked == [("tiny", "cpu"), ("tiny", "cuda"), ("complex", "cpu"), ("complex", "cuda")]
    assert said[0] == "tiny: cpu 1,000 samples/s, cuda 2,500 samples/s, cuda / cpu 2.50"


def test_a_machine_without_a_gpu_measures_nothing_and_its_exit_code_shows_it(checker):
    said = []
    assert checker.check(["tiny"], ["cpu"], lambda *_: pytest.fail("measured"), said.append) == 77
    assert said[0].startswith("no GPU here: nothing was measured")


def test_a_level_that_fails_is_named_and_the_others_are_tried(checker):
    said = []

    def measure(level, device):
        if (level, device) == ("tiny", "cuda"):
            raise RuntimeError("out of memory\nmore")
        return 10.0

    assert checker.check(["tiny", "simple"], ["cpu", "cuda"], measure, said.append) == 1
    assert said == [
        "tiny: FAILED on cuda: RuntimeError: out of memory",
        "tiny: cpu 10 samples/s",
        "simple: cpu 10 samples/s, cuda 10 samples/s, cuda / cpu 1.00",
    ]
