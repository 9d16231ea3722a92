"""Simulated exchange: REST and WebSocket over the matching core and its agents, with faults on demand.

Begin reading at server.py.
Not here   the rules of matching (simulation/matching), the agents (simulation/simexchange/world).
"""

__all__ = ["auth", "clock", "config", "keys", "rate_bucket", "server", "wire"]
