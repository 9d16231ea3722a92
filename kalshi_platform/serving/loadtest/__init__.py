"""Load test of a running server on a fixed schedule, and the page of its result.

Not here   the server's own code: the generator speaks HTTP and WebSocket only. Begin reading at run.py.
"""
