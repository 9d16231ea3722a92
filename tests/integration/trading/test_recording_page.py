"""docs/recording.md and README.md's three lines against the simulated exchange; unit, container, words."""

import configparser
import importlib.util
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from made.ends_itself import CAP_MINUTES
from made.pace import Within
from made.told_holes import assert_only_told_holes
from typer.testing import CliRunner

from kalshi_platform.cli.main import app
from kalshi_platform.trading.exchange.sink import NOTE_KINDS
from kalshi_platform.trading.recorder.segments import lines

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "recording.md").read_text()
(COMMANDS,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
(INSTALL,) = re.findall(r"```sh install\n(.*?)```", PAGE, re.DOTALL)
(THREE_LINES,) = re.findall(r"```sh record\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
(TRIAL,) = re.findall(r"```sh try\n(.*?)```", (ROOT / "docs" / "exchange-client.md").read_text(), re.DOTALL)
UNIT = (ROOT / "docker" / "recorder.service").read_text()
COMPOSE = (ROOT / "docker" / "recorder.compose.yaml").read_text()

_SPEC = importlib.util.spec_from_file_location("record_simulated", ROOT / "examples" / "record_simulated.py")
assert _SPEC is not None
assert _SPEC.loader is not None
example = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(example)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a demo key, as the page wants it."""
    home = tmp_path_factory.mktemp("home")
    made = CliRunner().invoke(app, ["simexchange", "keys", "--out", str(home / "kalshi")])
    assert made.exit_code == 0, made.output
    keys = json.loads((home / "kalshi" / "keys.json").read_text())
    (home / "kalshi" / "key-id").write_text(next(k["key_id"] for k in keys if k["name"] == "rsa"))
    (home / "kalshi" / "rsa.pem").rename(home / "kalshi" / "key.pem")
    return home


@pytest.fixture(scope="module")
def addresses(home: Path) -> Iterator[dict[str, str]]:
    exchange, found = example.start_exchange(home / "kalshi", 60)
    yield found
    example.stop_exchange(exchange)


def program(folder: Path, addresses: dict[str, str]) -> None:
    """A ``kalshi-platform`` that finds the simulated exchange where the page means the real one.

    It records until there are many frames, and asks that exchange for its time without a limit of its own.
    """
    more = ["--rest-url", addresses["REST"], "--stream-url", addresses["WebSocket"]]
    more += ["--minutes", str(CAP_MINUTES)]
    folder.mkdir()
    path = folder / "kalshi-platform"
    path.write_text(
        f"#!{sys.executable}\nimport sys\nfrom pathlib import Path\nfrom aiohttp import ClientTimeout\n"
        "from made.ends_itself import end_when\nfrom kalshi_platform.cli.start import main\n"
        "from kalshi_platform.trading.recorder import exchange_time\n"
        "exchange_time._TIMEOUT = ClientTimeout(total=None)\n"
        "def seen(now):\n    return now['frames_acknowledged'] > 2_000\n"
        f"if sys.argv[1:3] == ['record', '--series']:\n    sys.argv += {more!r}\n"
        "    out = Path(sys.argv[sys.argv.index('--out') + 1])\n"
        "    end_when(out / '.recorder' / 'status.json', seen)\nmain()\n"
    )
    path.chmod(0o755)


def run_block(block: str, tmp_path: Path, home: Path, addresses: dict[str, str]) -> None:
    """Run a block's commands in ``tmp_path`` against the simulated exchange."""
    program(tmp_path / "bin", addresses)
    text = block.replace("KXHIGHNY", "WORLDBKT").replace("KXHIGHCHI", "WORLDTOP")
    text = re.sub(r"--out (data/\w+)", r"--out \1 --workers 0", text)
    environment = {
        **os.environ, "HOME": str(home), "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
    }  # fmt: skip
    said = subprocess.run(
        ["bash", "-euo", "pipefail"], input=text, cwd=tmp_path, env=environment,
        capture_output=True, text=True, timeout=850, check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stdout[-2_000:] + said.stderr[-2_000:]
    assert "every line is marked as simulated" in said.stderr + said.stdout
    assert "its clock runs 60 times as fast as this machine's" in said.stderr + said.stdout


def test_the_three_lines_of_the_readme_record_and_build(tmp_path, home, addresses):
    run_block(THREE_LINES, tmp_path, home, addresses)
    (run,) = json.loads((tmp_path / "data" / "kalshi" / "manifest.json").read_text())["recordings"]
    out = tmp_path / "recordings" / "kalshi"
    assert_only_told_holes(out, run["run"], run["proven_ns"], run["wanted_ns"])


def test_the_trial_of_a_key_works_and_a_wrong_key_is_told_at_once(tmp_path, home, addresses):
    run_block(TRIAL, tmp_path, home, addresses)
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "KALSHI_API_KEY_ID": "00000000-0000-0000-0000-000000000000",
        "KALSHI_PRIVATE_KEY_FILE": str(home / "kalshi" / "key.pem"),
    }  # fmt: skip
    words = [
        *example.PROGRAM, "record", "--series", "WORLDBKT", "--out", str(tmp_path / "wrong"),
        "--minutes", str(CAP_MINUTES),
        "--rest-url", addresses["REST"], "--stream-url", addresses["WebSocket"],
    ]  # fmt: skip
    # On a slow machine the first try may end before the exchange has answered it.
    while "not connected: TimeoutError" in (said := said_until_not_connected(words, environment)):
        pass
    assert "not connected: " in said
    assert "401" in said


def said_until_not_connected(words: list[str], environment: dict[str, str]) -> str:
    """Run a recorder until it tells why it is not connected, end it by SIGTERM; returns what it said."""
    with subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True) as recorder:
        try:
            assert recorder.stderr is not None
            said = ""
            while "not connected: " not in said and (line := recorder.stderr.readline()):
                said += line
            recorder.send_signal(signal.SIGTERM)
            said += recorder.stderr.read()
            assert recorder.wait() == 0, said
        finally:
            recorder.kill()
    return said


def test_the_commands_of_the_page_record_certify_and_build(tmp_path, home, addresses):
    run_block(COMMANDS, tmp_path, home, addresses)
    told = CliRunner().invoke(app, ["record", "status", str(tmp_path / "recordings"), "--json"])
    state = json.loads(told.stdout)
    assert state["frames"] > 20
    assert state["markets"]
    manifest = json.loads((tmp_path / "data" / "mine" / "manifest.json").read_text())
    (run,) = manifest["recordings"]
    assert run["markets"] == len(state["markets"])
    assert_only_told_holes(tmp_path / "recordings", run["run"], run["proven_ns"], run["wanted_ns"])
    assert state["coverage"] == round(run["proven_ns"] / run["wanted_ns"], 6)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_recorder_cleanly_within_ten_seconds(tmp_path, home, addresses, number):
    key_id = (home / "kalshi" / "key-id").read_text()
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "KALSHI_API_KEY_ID": key_id,
        "KALSHI_PRIVATE_KEY_FILE": str(home / "kalshi" / "key.pem"),
    }  # fmt: skip
    words = [
        *example.PROGRAM, "record", "--series", "WORLDONE", "--out", str(tmp_path / "out"),
        "--rest-url", addresses["REST"], "--stream-url", addresses["WebSocket"],
    ]  # fmt: skip
    with subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True) as recorder:
        status = tmp_path / "out" / ".recorder" / "status.json"
        deadline = time.monotonic() + 180
        while not status.exists() or json.loads(status.read_text())["frames_acknowledged"] < 2:
            assert time.monotonic() < deadline, "nothing was recorded"
            assert recorder.poll() is None, recorder.stderr
            time.sleep(0.1)
        with Within(10):
            recorder.send_signal(number)
            assert recorder.wait(600) == 0
    told = CliRunner().invoke(app, ["record", "status", str(tmp_path / "out"), "--json"])
    state = json.loads(told.stdout)
    assert (state["kinds"]["run_stopped"], state["open_segments"], state["holes"]) == (1, 0, 0)


def test_the_unit_starts_a_command_that_there_is():
    unit = configparser.ConfigParser(strict=True)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(UNIT)
    words = shlex.split(unit["Service"]["ExecStart"])
    assert words[0].endswith("/kalshi-platform")
    assert unknown_options(words) == []
    assert int(unit["Service"]["TimeoutStopSec"]) > 10
    alerts = words[words.index("--alerts") + 1]
    assert f"{words[0]} record alert --alerts {alerts} " in unit["Service"]["ExecStopPost"]


def unknown_options(words: list[str]) -> list[str]:
    """Options among ``words`` that ``record`` does not have."""
    told = CliRunner().invoke(app, ["record", "--help"], env={"COLUMNS": "200"}).output
    return [w for w in words if w.startswith("--") and w.partition("=")[0] not in told]


def test_systemd_takes_the_unit_as_it_is(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not on this machine")
    unit = UNIT.replace("/opt/kalshi-platform/.venv/bin/kalshi-platform", "/bin/true")
    (tmp_path / "kalshi-recorder.service").write_text(unit.replace("User=kalshi", "User=root"))
    said = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / "kalshi-recorder.service")],
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert (said.returncode, said.stderr.strip()) == (0, "")


def test_the_container_starts_a_command_that_there_is():
    service = yaml.safe_load(COMPOSE)["services"]["recorder"]
    assert service["command"][:2] == ["kalshi-platform", "record"]
    assert unknown_options(service["command"]) == []
    mounted = {volume.split(":")[1] for volume in service["volumes"]}
    paths = [word.partition("=")[2] for word in service["command"] if "=/" in word]
    assert {*paths, service["environment"]["KALSHI_PRIVATE_KEY_FILE"]} <= mounted
    assert service["read_only"]
    assert service["deploy"]["replicas"] == 1


def test_the_steps_of_the_installation_fit_the_unit():
    unit = configparser.ConfigParser(strict=True)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(UNIT)
    service = unit["Service"]
    for path in (service["EnvironmentFile"], "/etc/kalshi/alerts", "docker/recorder.service"):
        assert path in INSTALL
    assert f"--home-dir {service['ReadWritePaths']} {service['User']}\n" in INSTALL
    assert subprocess.run(["bash", "-n"], input=INSTALL, text=True, check=False).returncode == 0


def test_the_page_names_every_kind_of_note():
    own = {
        value for name, value in vars(lines).items() if name.isupper() and re.fullmatch("[a-z_]+", str(value))
    }
    assert {kind for kind in NOTE_KINDS | own if f"`{kind}`" not in PAGE} == set()
