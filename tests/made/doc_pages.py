"""The blocks of the documents: what is shown as code, in which language, and what stands before it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_FENCE = re.compile(r"^( *)```(\S*) ?(.*)$")
_MARK = re.compile(r"^ *<!-- (.*) -->$")


class Block(NamedTuple):
    """One block of a page."""

    page: Path
    line: int  # of its first line, from 1
    language: str  # "" of an indented block
    word: str  # what follows the language, such as a file name
    mark: str  # text of the HTML comment right before the block, "" without one
    text: str


def blocks_of(page: Path) -> Iterator[Block]:
    """Yield the fenced and the indented blocks of a page, in order."""
    lines = page.read_text().splitlines()
    at = 0
    while at < len(lines):
        mark = _mark_before(lines, at)
        if fence := _FENCE.match(lines[at]):
            indent, language, word = fence.groups()
            end = next(k for k in range(at + 1, len(lines)) if lines[k].strip() == "```")
            text = "".join(line.removeprefix(indent) + "\n" for line in lines[at + 1 : end])
            yield Block(page, at + 2, language, word, mark, text)
            at = end
        elif lines[at].startswith("    ") and (at == 0 or not lines[at - 1].strip() or mark):
            end = next((k for k in range(at, len(lines)) if lines[k][:4].strip()), len(lines))
            text = "".join(line[4:] + "\n" for line in lines[at:end]).rstrip() + "\n"
            yield Block(page, at + 1, "", "", mark, text)
            at = end - 1
        at += 1


def _mark_before(lines: list[str], at: int) -> str:
    found = _MARK.match(lines[at - 1]) if at else None
    return found.group(1) if found else ""
