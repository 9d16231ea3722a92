"""Compiled kernels are found again by a copy of the package in another folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import kalshi_platform

PROGRAM = """
import numpy as np
from kalshi_platform.data.features.history import segment_age
age = np.zeros(3, np.int32)
segment_age(np.array([1, 1, 0], np.uint8), age)
print(age.tolist(), sum(segment_age.stats.cache_hits.values()))
"""


def run_from(folder: Path, cache: Path) -> str:
    env = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=folder, env=env, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_a_copy_of_the_package_finds_the_kernels_of_the_original(tmp_path):
    package = Path(kalshi_platform.__file__).parent
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
        shutil.copytree(package, folder / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    assert run_from(first, tmp_path / "cache") == "[0, 1, 0] 0"
    assert run_from(second, tmp_path / "cache") == "[0, 1, 0] 1"


def test_a_copy_with_another_kernel_compiles_its_own(tmp_path):
    package = Path(kalshi_platform.__file__).parent
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
        shutil.copytree(package, folder / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    run_from(first, tmp_path / "cache")
    changed = second / package.name / "data" / "features" / "history.py"
    changed.write_text(changed.read_text().replace("run = run + 1 if", "run = run + 2 if"))
    assert run_from(second, tmp_path / "cache") == "[0, 2, 0] 0"
