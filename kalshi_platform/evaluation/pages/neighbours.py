"""Links from a page to the pages beside it and to the files with its figures.

Owns       which files are pages, where their neighbours lie, and the list of links inside every page.
Invariant  a link leads to a file that exists; a page written later appears in those that were there before.
Not        the writing of a page (page.py).

Neighbours are the pages in the same folder, in folders one or two above that hold a page, and in folders
below (such as winner/ or seed-0/evaluation/). Files of figures are those in the same folder.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from urllib.parse import quote

from markupsafe import Markup

from kalshi_platform.storage.whole_file import write_whole

#: Name of a page's file -> what the page is.
PAGES: Final = {
    "report.html": "evaluation",
    "tiers.html": "tiers",
    "compare.html": "runs compared",
    "progressive.html": "progressive training",
    "loadtest.html": "load test",
    "run.html": "training run",
    "calibration.html": "calibration",
}
#: Endings of files of figures that a page links where they lie beside it.
_DATA_ENDINGS: Final = (".csv", ".parquet")
_BEGIN, _END = "<!--neighbours-->", "<!--/neighbours-->"
#: Folders below that may hold a page of their own.
_BELOW: Final = ("*/", "*/evaluation/", "evaluation/")
#: Most links of one page to others: a folder of a hundred runs is no contents list.
_MOST: Final = 24


def link_neighbours(page: Path) -> None:
    """Write the list of links anew in ``page`` and in every page beside, above and below it."""
    for each in dict.fromkeys([page, *_pages_near(page)]):
        text = each.read_text()
        before, begin, rest = text.partition(_BEGIN)
        _, end, after = rest.partition(_END)
        if not begin or not end:
            continue  # a page of an earlier version has no place for links
        renewed = (
            f"{before}{_BEGIN}{links(each)}{_END}{after}"  # plain text: joined to Markup it were escaped
        )
        if renewed != text:
            write_whole(each, renewed)


def links(page: Path) -> Markup:
    """List of links from ``page``, relative to its folder; empty where it has no neighbour."""
    others = [(path, _words(path, page)) for path in _pages_near(page)][:_MOST]
    figures = [(path, path.name) for path in _figures(page)]
    return Markup("").join(
        Markup("<div><dt>{}</dt><dd>{}</dd></div>").format(name, _list(found, page.parent))
        for name, found in (("other pages", others), ("figures", figures))
        if found
    )


def _list(found: Iterable[tuple[Path, str]], folder: Path) -> Markup:
    return Markup(", ").join(
        Markup('<a href="{}">{}</a>').format(quote(os.path.relpath(path, folder)), words)
        for path, words in found
    )


def _words(path: Path, page: Path) -> str:
    """Name of a page, with its folder where that is another one."""
    where = os.path.relpath(path.parent, page.parent)
    name = PAGES[path.name]
    return name if where == "." else f"{name} in {where}"


def _pages_near(page: Path) -> list[Path]:
    """Pages beside ``page``, then above, then below; without itself."""
    folder = page.parent.absolute()
    above = list(folder.parents)[:2]
    below = sorted(found for pattern in _BELOW for found in folder.glob(pattern))
    near = [folder / name for name in PAGES] + [up / name for up in above for name in PAGES]
    near += [down / name for down in below for name in PAGES]
    own = page.absolute()
    return [path for path in dict.fromkeys(near) if path != own and path.is_file()]


def _figures(page: Path) -> list[Path]:
    """Files of figures beside ``page``: its own JSON, and every table."""
    own = page.with_suffix(".json")
    tables = sorted(path for path in page.parent.iterdir() if path.suffix in _DATA_ENDINGS)
    return [path for path in (own, *tables) if path.is_file()]
