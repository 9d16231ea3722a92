"""The direction of imports is enforced: the tree passes, and a planted bad import is named."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("kalshi_platform", "tune_experiments", "serve_deployments")
ONE_OF_EACH = "aiohttp is the one HTTP client, websockets the one WebSocket client"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    environment = {**os.environ, "PYTHONPATH": str(tree), "COLUMNS": "200"}
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)


def test_the_tree_keeps_every_contract(tree):
    outcome = lint(tree)
    assert outcome.returncode == 0, outcome.stdout
    assert "0 broken" in outcome.stdout


@pytest.mark.parametrize(
    ("where", "line", "contract"),
    [
        ("kalshi_platform/domain/units.py", "import kalshi_platform.data.book", "data flows one way"),
        (
            "kalshi_platform/simulation/envs/__init__.py",
            "import kalshi_platform.models",
            "data flows one way",
        ),
        ("kalshi_platform/simulation/replay/__init__.py", "import ray", "the core knows no framework"),
        (
            "serve_deployments/__init__.py",
            "import kalshi_platform.learning.training",
            "serving pulls in neither simulator nor trainer",
        ),
        ("kalshi_platform/serving/server/http.py", "import websockets", ONE_OF_EACH),
        ("kalshi_platform/serving/api/stream_client.py", "import httpx", ONE_OF_EACH),
    ],
)
def test_a_planted_bad_import_breaks_its_contract(tree, where, line, contract):
    with (tree / where).open("a") as file:
        file.write(f"\n{line}\n")
    outcome = lint(tree)
    assert outcome.returncode != 0
    assert f"{contract} BROKEN" in outcome.stdout


def test_no_websocket_is_opened_through_the_http_client():
    """import-linter sees that a module imports aiohttp, not that it calls ``ws_connect``."""
    sources = [path for name in PACKAGES for path in sorted((ROOT / name).rglob("*.py"))]
    assert any("aiohttp" in path.read_text() for path in sources)
    assert [path for path in sources if "ws_connect" in path.read_text()] == []


def test_nothing_happens_at_import():
    """A module defines; it calls nothing for its effect and loops over nothing."""
    acting = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for name in PACKAGES
        for path in sorted((ROOT / name).rglob("*.py"))
        for node in ast.parse(path.read_text()).body
        if (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call))
        or isinstance(node, ast.For | ast.While | ast.With | ast.AugAssign | ast.Delete)
    ]
    # The package names the folder of compiled kernels before numba can be imported.
    assert [each for each in acting if not each.startswith("kalshi_platform/__init__.py")] == []
