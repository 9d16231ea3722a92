"""Live streams: frames of the exchange to books, observations and decisions, a session a client.

Not here   the socket (server/streaming.py). Begin reading at stream.py.
"""

__all__ = ["admission", "books", "group", "own_orders", "places", "sessions", "stream"]
