"""Checks of what every page owes its reader: sound links, named tables, texts of a readable size."""

import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

VOID = ("meta", "br", "link", "input", "hr", "img")
#: The least size of a text in pixels.
SMALLEST_PX = 12


class PageTags(HTMLParser):
    """Collects what a page holds; refuses tags that are not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.boxed: list[bool] = []  # of the open tags: an svg with a view box
        self.fetched: list[str] = []  # what a browser would load by itself
        self.links: list[str] = []
        self.ids: list[str] = []
        self.headings: list[str] = []
        self.problems: list[str] = []
        self.texts: list[str] = []
        self._captions = 0

    def handle_starttag(self, tag, attrs):
        told = dict(attrs)
        self.fetched += [v for k, v in attrs if k in ("src", "xlink:href") or (k == "href" and tag != "a")]
        self.links += [told["href"]] if tag == "a" and "href" in told else []
        self.ids += [told["id"]] if "id" in told else []
        self.problems += self._wrong(tag, told)
        self._captions += tag == "caption"
        if tag not in VOID:
            self.open.append(tag)
            self.boxed.append(tag == "svg" and "viewbox" in told)

    def _wrong(self, tag, told):
        if tag == "th" and told.get("scope") not in ("col", "row"):
            yield f"a th without scope near {self.texts[-1:]}"
        if tag == "section" and "id" not in told:
            yield f"a section without id after {self.headings[-1:]}"
        if tag == "svg" and told.get("role") == "img" and not told.get("aria-label"):
            yield "a picture that says nothing"
        if tag == "text" and any(self.boxed):
            yield "a text inside a view box, which scales it"
        if tag == "script":
            yield "a script"

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes another tag"
        self.boxed.pop()
        if tag == "table":
            self.problems += [] if self._captions == 1 else [f"{self._captions} captions of a table"]
            self._captions = 0

    def handle_data(self, data):
        if not self.open or self.open[-1] == "style" or not data.strip():
            return
        if self.open[-1] == "h2":
            self.headings.append(data)
        if "svg" not in self.open:
            self.texts.append(" ".join(data.split()))


def sound_page(html: str, folder: Path | None = None) -> PageTags:
    """Tags of the page ``html``, after checking what every page owes its reader.

    With ``folder``, where it lies, links to files are checked too; without, it must have none.
    """
    tags = PageTags()
    tags.feed(html)
    assert tags.open == []
    assert tags.problems == []
    assert tags.fetched == []
    assert not re.search(r"url\(|@import", html)
    assert len(tags.ids) == len(set(tags.ids)), "an id is used twice"
    for link in tags.links:
        if link.startswith("#"):
            assert link[1:] in tags.ids, f"{link} leads nowhere"
        elif folder is not None:
            assert (folder / unquote(link)).is_file(), f"{link} leads to no file"
    assert said_twice(tags.texts) == []
    sizes = [float(px) for px in re.findall(r"font(?:-size)?:\s*([\d.]+)px", html)]
    assert min(sizes) >= SMALLEST_PX
    return tags


def said_twice(texts: list[str]) -> list[str]:
    """Sentences of some length that follow each other word for word."""
    sentences = [s for text in texts for s in re.split(r"(?<=[.!?;:])\s+", text)]
    plain = [re.sub(r"[^a-z0-9 ]", "", s.lower()).strip() for s in sentences]
    return [a for a, b in pairwise(plain) if a == b and len(a.split()) > 4]
