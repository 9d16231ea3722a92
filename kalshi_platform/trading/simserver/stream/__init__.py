"""The WebSocket: connections, subscriptions, commands, and everything the venue tells as frames.

Begin reading at hub.py, then connection.py (numbers), commands.py and socket.py (bytes).
Not here   what happens (venue), planted faults of frames (faults).
"""

__all__ = ["bodies", "commands", "connection", "deflate", "hub", "socket"]
