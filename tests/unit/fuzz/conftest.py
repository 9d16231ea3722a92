"""A folder with a short path: refusals name paths, and are held to a length."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def place() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="fz"))
    yield folder
    shutil.rmtree(folder)
