"""Page: the figures of a running recorder as JSON and in a browser, on loopback.

Begin reading at view.py, the figures.
Not here   where they come from (follow/), the server of the page (trading/pages).
"""

__all__ = ["view"]
