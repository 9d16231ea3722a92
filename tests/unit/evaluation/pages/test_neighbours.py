"""Pages link the pages and files beside, above and below them, and only those that exist."""

from html import unescape
from re import findall

from kalshi_platform.evaluation.pages.neighbours import link_neighbours

EMPTY = "<p>a & b</p><dl><!--neighbours--><!--/neighbours--></dl>"


def page(folder, name):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(EMPTY)
    return folder / name


def links_of(path):
    return findall(r'href="([^"]*)"', unescape(path.read_text()))


def test_a_page_links_what_lies_beside_it_and_the_others_learn_of_it(tmp_path):
    report = page(tmp_path, "report.html")
    for name in ("report.json", "ledger.csv", "other.json", "notes.txt"):
        (tmp_path / name).touch()
    link_neighbours(report)
    assert links_of(report) == ["report.json", "ledger.csv"]
    tiers = page(tmp_path, "tiers.html")
    link_neighbours(tiers)
    assert links_of(tiers) == ["report.html", "ledger.csv"]
    assert links_of(report) == ["tiers.html", "report.json", "ledger.csv"]
    assert report.read_text().startswith("<p>a & b</p><dl>")  # the rest stays as it was


def test_pages_above_and_below_link_each_other_by_relative_paths(tmp_path):
    compare = page(tmp_path / "a sweep", "compare.html")
    winner = page(tmp_path / "a sweep" / "winner", "report.html")
    seed = page(tmp_path / "a sweep" / "seed 0" / "evaluation", "report.html")
    link_neighbours(winner)
    assert links_of(winner) == ["../compare.html"]
    assert links_of(compare) == ["seed%200/evaluation/report.html", "winner/report.html"]
    link_neighbours(seed)
    assert links_of(seed) == ["../../compare.html"]


def test_a_link_to_a_page_that_is_gone_is_taken_away(tmp_path):
    report, tiers = page(tmp_path, "report.html"), page(tmp_path, "tiers.html")
    link_neighbours(report)
    tiers.unlink()
    link_neighbours(report)
    assert links_of(report) == []


def test_a_page_of_an_earlier_version_is_left_as_it_is(tmp_path):
    (tmp_path / "tiers.html").write_text("<p>old</p>")
    link_neighbours(page(tmp_path, "report.html"))
    assert (tmp_path / "tiers.html").read_text() == "<p>old</p>"
