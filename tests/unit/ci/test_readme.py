"""``.ci/readme``: it does what README.md says, line by line, and ends at the first line that fails."""

from pathlib import Path

import pytest
from made.ci_readme import ci_readme


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    found = ci_readme()
    monkeypatch.setattr(found, "ROOT", tmp_path)
    monkeypatch.setattr(found.sys, "argv", ["readme"])
    return found


def page(script, *blocks: str) -> None:
    text = "".join(f"words\n\n```sh\n{block}\n```\n" for block in blocks)
    (script.ROOT / "README.md").write_text(f"# A page\n{text}\n    kalshi-platform not run\n")


def test_the_lines_run_in_one_shell_in_the_folder_of_the_checkout(script, capfd):
    page(script, "NAME=here\n# a comment\nprintf '%s' $NAME \\\n  > made", "cat made && pwd")
    assert script.main() == 0
    shown = capfd.readouterr().out
    assert (script.ROOT / "made").read_text() == "here"
    assert f"here{script.ROOT}" in shown
    assert "s  README.md" in shown


def test_a_reader_writes_his_own_value_where_the_page_sets_one(script, monkeypatch, capfd):
    page(script, "NAME=here\necho got $NAME")
    monkeypatch.setenv("NAME", "there")
    assert script.main() == 0
    assert "got there" in capfd.readouterr().out


def test_the_first_line_that_fails_ends_it(script, capfd):
    page(script, "true\n(exit 3)\ntouch never")
    assert script.main() == 1
    assert "failed: (exit 3): exit 3" in capfd.readouterr().out
    assert not (script.ROOT / "never").exists()


def test_nothing_begins_where_a_folder_of_the_page_is_there_already(script, capfd):
    page(script, "touch made\nkalshi-platform train --out runs/mine")
    (script.ROOT / "runs" / "mine").mkdir(parents=True)
    assert script.main() == 2
    assert "move away runs/mine" in capfd.readouterr().err
    assert not (script.ROOT / "made").exists()


def test_marked_blocks_of_another_page_follow_without_what_readme_has(script):
    page(script, "echo one")
    text = f"{script.MARK}```sh\necho one\necho two\n```\n\n```sh\necho three\n```\n"
    (script.ROOT / "other.md").write_text(text)
    assert script.all_commands(["other.md"]) == ["echo one", "echo two"]


def test_a_server_that_ends_before_it_is_ready_is_a_failure(script, monkeypatch, capfd):
    page(script, "kalshi-platform() { echo no model; return 2; }\nkalshi-platform serve\ntouch never")
    assert script.main() == 1
    assert "no model" in capfd.readouterr().out
    assert not (script.ROOT / "never").exists()
