"""Live streams: frames of the exchange in, decisions out; markets, groups and sessions.

Not here   the WebSocket (server/streaming.py). Begin reading at stream.py.
"""
