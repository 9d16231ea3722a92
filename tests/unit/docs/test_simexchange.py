"""docs/simexchange.md: its commands run, its faults are those of the program, its schedule is read."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import get_args

import httpx
from made.doc_pages import blocks_of

from kalshi_platform.trading.simserver.faults.forms import FaultSchedule, PlantedFault

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "simexchange.md"
KINDS = {
    kind
    for group in get_args(PlantedFault.model_fields["kind"].annotation)
    for kind in (get_args(group) or (group,))
}


def commands():
    return [block.text.split() for block in blocks_of(PAGE) if block.language == "sh"]


def test_the_commands_make_keys_and_serve_until_interrupted(tmp_path):
    program = Path(sys.executable).with_name("kalshi-platform")
    keys, serve = commands()
    assert keys[0] == serve[0] == "kalshi-platform"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([program, *keys[1:]], cwd=tmp_path, env=environment, check=True, capture_output=True)
    server = subprocess.Popen(
        [program, *serve[1:]], cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        served = json.loads(server.stdout.readline())
        status = httpx.get(f"{served['url']}/exchange/status", trust_env=False, timeout=60)
        assert status.json()["trading_active"] is True
        headers = {"Authorization": f"Bearer {served['admin_token']}"}
        admin = httpx.get(f"{served['admin_url']}/status", headers=headers, trust_env=False, timeout=60)
        assert (admin.json()["speed"], admin.json()["n_open"]) == (60.0, 3)
    finally:
        server.send_signal(signal.SIGINT)
        assert server.wait(120) == 0
        server.stdout.close()


def test_the_page_names_every_kind_of_fault_and_no_other():
    table = PAGE.read_text().partition("| kind | does |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines()[2:]]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == KINDS


def test_the_schedule_on_the_page_is_one():
    (block,) = [block for block in blocks_of(PAGE) if block.language == "json"]
    schedule = FaultSchedule.parse(json.loads(block.text))
    assert [fault.kind for fault in schedule.faults] == ["drop_frame", "early_close"]
