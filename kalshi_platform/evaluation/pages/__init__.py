"""The kit of all pages: frame and style, charts, formats, both files, tables on a terminal.

Not here   any page: each stands beside what it shows. Begin reading at page.py.
"""

__all__ = [
    "charts",
    "contents",
    "drawing",
    "formats",
    "glossary",
    "head",
    "neighbours",
    "page",
    "return_map",
    "terminal",
]
