"""An importer whose events come from a seed."""

import pytest
from made.fake_import import EVENTS, FakeImport


@pytest.fixture
def fake(tmp_path, monkeypatch):
    folder = tmp_path / "sources"
    folder.mkdir()
    fake = FakeImport(folder, EVENTS)
    fake.install(monkeypatch)
    return fake
