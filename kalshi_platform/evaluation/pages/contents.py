"""The list of a page's sections, gathered while its body is rendered, and the words that it must explain.

Owns       the anchor of every section, each used once; which words of the glossary the page used.
Not        the frame that shows both (templates/page.html.j2, templates/kit.html.j2).
"""

import re
from typing import NamedTuple

from markupsafe import Markup

from kalshi_platform.evaluation.pages.glossary import WORDS


class Section(NamedTuple):
    """One entry of the list: its anchor and its heading."""

    id: str
    title: str


class Contents:
    """Sections and words of one page, in the order in which it used them."""

    def __init__(self) -> None:
        self.sections: list[Section] = []
        self.words: dict[str, str] = {}

    def add(self, title: str) -> str:
        """Take in a section; returns its anchor, made of its heading."""
        stem = slug(title)
        taken = {section.id for section in self.sections}
        anchor = stem
        k = 2
        while anchor in taken:
            anchor, k = f"{stem}-{k}", k + 1
        self.sections.append(Section(anchor, title))
        return anchor

    def word(self, text: str) -> Markup:
        """``text``, linked to its meaning at the page's end where WORDS holds it."""
        meaning = WORDS.get(text)
        if meaning is None:
            return Markup("{}").format(text)
        self.words[text] = meaning
        return Markup('<a class="word" href="#word-{}" title="{}">{}</a>').format(slug(text), meaning, text)

    def mention(self, text: str) -> Markup:
        """Explain ``text``, or the word before its colon, at the page's end; returns nothing to show."""
        meaning = WORDS.get(text, WORDS.get(text.partition(":")[0]))
        if meaning is not None:
            self.words[text] = meaning
        return Markup("")


def slug(text: str) -> str:
    """Anchor made of ``text``: its small letters and digits, joined by hyphens."""
    return "-".join(re.findall(r"[a-z0-9]+", text.lower())) or "section"
