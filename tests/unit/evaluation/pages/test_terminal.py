"""Tables where nobody sees them: whole, with the page's path in one piece."""

from pathlib import Path

from rich.table import Table

from kalshi_platform.evaluation.pages.terminal import LOG_WIDTH, output, show, tell


def test_a_pipe_gets_a_wide_table_and_a_path_in_one_piece(capsys):
    table = Table("name")
    table.add_row("x" * (LOG_WIDTH - 10))
    page = Path("/a" * 150) / "report.html"
    show(table, page)
    printed = capsys.readouterr().out.splitlines()
    assert output().width == LOG_WIDTH
    assert any("x" * (LOG_WIDTH - 10) in line for line in printed)
    assert printed[-1] == f"report: {page}"


def test_what_is_told_goes_to_stderr_as_it_is(capsys):
    tell("[bold]not markup[/] " + "w" * 200)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "[bold]not markup[/] " + "w" * 200 + "\n"
