"""The plan command: text for people, one JSON object for programs, the tables of the page."""

import json
import re
import shlex
from pathlib import Path

from typer.testing import CliRunner

from kalshi_platform.cli.main import app
from kalshi_platform.workflows.scale import paper_table


def planned(*words):
    return CliRunner().invoke(app, ["plan", *words])


def test_a_size_on_this_machine_ends_in_a_verdict(tmp_path):
    done = planned("--markets", "300", "--place", str(tmp_path))
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("300 markets, 600,000 rows on this machine: ")
    assert "\nfits" in done.stdout or "\nbreaks first" in done.stdout


def test_the_commands_of_the_page_run():
    text = (Path(__file__).resolve().parents[3] / "docs" / "scale.md").read_text()
    lines = re.search(r"```sh\n(.*?)```", text, re.DOTALL)[1].splitlines()
    assert len(lines) == 3
    for line in lines:
        program, *words = shlex.split(line, comments=True)
        assert program == "kalshi-platform"
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, line
        assert done.stdout


def test_json_names_the_needs_and_the_measurements():
    done = planned("--markets", "1000000", "--rows", "2000000000", "--machine", "c7i.2xlarge", "--json")
    found = json.loads(done.stdout)
    assert (found["markets"], found["rows"], found["machine"]["name"]) == (10**6, 2 * 10**9, "c7i.2xlarge")
    assert any(not need["fits"] for need in found["needs"])
    assert all(slope["command"] for slope in found["extrapolated_from"])


def test_the_tables_of_the_page_are_written():
    assert planned("--paper").stdout.startswith(paper_table())


def test_tables_are_no_json():
    done = planned("--paper", "--json")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "leave out --json" in done.stderr


def test_an_unknown_machine_is_wrong_usage():
    done = planned("--machine", "toaster")
    assert done.exit_code == 2
    assert "--machine 'toaster'" in done.output
