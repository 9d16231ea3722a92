"""Requests, answers and messages on the wire, and the clients that send them.

Not here   the server's side of a request (server/). Begin reading at requests.py.
"""

__all__ = ["decide_client", "messages", "packed", "requests", "stream_client", "tokens", "wrong_fields"]
