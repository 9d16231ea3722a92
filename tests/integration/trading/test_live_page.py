"""docs/live.md and README.md: commands against the simulated exchange, limits file, table of states."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from made.ends_itself import CAP_MINUTES
from made.trading_scene import registry_with_model
from typer.testing import CliRunner

from kalshi_platform.cli.main import app
from kalshi_platform.domain.errors import ExitCode
from kalshi_platform.trading.execution.orders.states import table_rows
from kalshi_platform.trading.execution.risk.limits import read_limits
from kalshi_platform.trading.execution.risk.modes import RiskMode

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "live.md").read_text()
(COMMANDS,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
README = (ROOT / "README.md").read_text()
(PAPER,) = re.findall(r"```sh paper\n(.*?)```", README, re.DOTALL)
(LIVE,) = re.findall(r"```sh live\n(.*?)```", README, re.DOTALL)
(LIMITS,) = re.findall(r"```toml limits\n(.*?)```", PAGE, re.DOTALL)

_SPEC = importlib.util.spec_from_file_location("record_simulated", ROOT / "examples" / "record_simulated.py")
assert _SPEC is not None
assert _SPEC.loader is not None
example = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(example)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with demo keys, and a registry with a model that was never trained."""
    place = tmp_path_factory.mktemp("place")
    made = CliRunner().invoke(app, ["simexchange", "keys", "--out", str(place / "home" / "kalshi")])
    assert made.exit_code == 0, made.output
    registry_with_model(place / "registry", order_style="maker")
    return place


@pytest.fixture(scope="module")
def addresses(place: Path) -> Iterator[dict[str, str]]:
    exchange, found = example.start_exchange(place / "home" / "kalshi", 20)
    yield found
    example.stop_exchange(exchange)


def run_block(
    block: str, key: str, tmp_path: Path, place: Path, addresses: dict[str, str] | None
) -> "subprocess.CompletedProcess[str]":
    """Run a block's commands in ``tmp_path``; with ``addresses`` the program finds that exchange."""
    home = place / "home" / "kalshi"
    keys = json.loads((home / "keys.json").read_text())
    (home / "key-id").write_text(next(k["key_id"] for k in keys if k["name"] == key))
    shutil.copy(home / f"{key}.pem", home / "key.pem")
    more = (
        [] if addresses is None else ["--rest-url", addresses["REST"], "--stream-url", addresses["WebSocket"]]
    )
    program = tmp_path / "bin" / "kalshi-platform"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\nimport sys\nfrom pathlib import Path\n"
        "from made.ends_itself import end_when\nfrom kalshi_platform.cli.start import main\n"
        f"if '--mode' in sys.argv:\n    sys.argv += {[*more, '--minutes', str(CAP_MINUTES)]!r}\n"
        "    out = Path(sys.argv[sys.argv.index('--out') + 1])\n"
        "    end_when(out / '.session' / 'snapshot.json', lambda now: now['decisions'] > 10)\nmain()\n"
    )
    program.chmod(0o755)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("KALSHI_")},
        "HOME": str(place / "home"), "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
        "PATH": f"{program.parent}:{os.environ['PATH']}", "KALSHI_PLATFORM_REGISTRY": str(place / "registry"),
    }  # fmt: skip
    text = block.replace("KXHIGHNY", "WORLDONE").replace("--minutes 60", "")
    return subprocess.run(
        ["bash", "-euo", "pipefail"], input=text, cwd=tmp_path, env=environment,
        capture_output=True, text=True, timeout=850, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(("block", "folder"), [(COMMANDS, "first"), (PAPER, "paper")], ids=["page", "readme"])
def test_the_commands_of_page_and_readme_trade_on_paper_and_report(block, folder, tmp_path, place, addresses):
    said = run_block(block, "reader", tmp_path, place, addresses)
    assert said.returncode == 0, said.stdout[-2_000:] + said.stderr[-2_000:]
    told = said.stdout + said.stderr
    assert told.count("the replay of its recording has the same account, to 1e-6 $") == 2
    report = json.loads((tmp_path / "sessions" / folder / "report.json").read_text())
    assert set(report["difference_e6"].values()) == {0}
    assert report["counters"]["decisions"] > 10


def test_the_lines_of_the_readme_for_real_money_refuse_a_model_of_simulated_data(tmp_path, place):
    said = run_block(LIVE, "ed25519", tmp_path, place, None)
    assert said.returncode == ExitCode.LIMIT, said.stderr
    assert "trades no real money" in said.stderr
    assert not (tmp_path / "sessions").exists()


def test_the_lines_of_the_readme_for_real_money_trade_at_a_simulated_exchange(tmp_path, place, addresses):
    block = LIVE.replace("--mode live --real-money", "--mode simulated")
    assert block != LIVE
    said = run_block(block, "ed25519", tmp_path, place, addresses)
    assert said.returncode == 0, said.stderr
    assert json.loads((tmp_path / "sessions" / "live" / "report.json").read_text())["mode"] == "simulated"


def test_the_limits_of_the_page_are_read(tmp_path):
    path = tmp_path / "limits.toml"
    path.write_text(LIMITS)
    assert int(read_limits(path).order_contracts) == 10


def test_the_page_shows_every_step_of_an_order_and_every_mode():
    section = PAGE.split("## States of an order\n")[1].split("\n## ")[0]
    shown = re.findall(r"^\| (\w+) \| (\w+) \| (\w+)( \(surprise\))? \|$", section, re.MULTILINE)
    steps = {(state, event, after, bool(mark)) for state, event, after, mark in shown if state != "state"}
    assert steps == set(table_rows())
    for mode in RiskMode:
        assert f"| `{mode.value}` |" in PAGE
