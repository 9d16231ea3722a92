"""The load test: an open loop of requests or frames, its figures and its page.

Not here   the server under test (server/). Begin reading at run.py.
"""

__all__ = ["page", "result", "run"]
